"""The mirror of finished studies into MLflow."""
