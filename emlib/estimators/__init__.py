"""scikit-learn compatible estimators, one file a family, on top of models, inits and the climb."""
