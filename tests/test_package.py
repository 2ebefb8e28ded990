from importlib.metadata import metadata, version

import arproc


def test_version_is_the_distributions_own():
    assert arproc.__version__ == version("arproc")


def test_every_extra_that_the_errors_may_name_exists():
    assert set(metadata("arproc").get_all("Provides-Extra")) >= {
        "cli",
        "data",
        "plot",
        "scores",
        "demo",
        "dev",
    }
