"""The kernels job: it compiles what it can, and leaves failures to the fits."""

from emlib.study.atomic import write_json
from emlib.study.kernels import compile_kernels


def test_a_model_too_large_for_the_practice_rows_does_not_stop_the_study(tmp_path):
    settings = {"covariance_type": "full", "prior": None}
    models = {
        str(k): {"family": "gaussian_mixture", "settings": {"n_components": k, **settings}}
        for k in (2, 60, 600)
    }
    inits = {"short_em": {"init": "short_em", "settings": {}, "oracle": False}}
    algorithms = {"em": {"algorithm": "em", "settings": {}}}
    write_json(
        tmp_path / "study.json", {"models": models, "inits": inits, "algorithms": algorithms}
    )
    marker = tmp_path / "gaussian_mixture.txt"
    compile_kernels(tmp_path, "gaussian_mixture", marker)
    assert marker.read_text() == "the kernels of gaussian_mixture are compiled\n"
