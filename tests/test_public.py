"""The package from outside: its names, its imports, its errors and its examples."""

from __future__ import annotations

import doctest
import inspect
import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import ROOT

import unseam
from unseam import errors

ROOMS_WITHOUT_TORCH = [
    "axes",
    "config",
    "decisions",
    "errors",
    "fingerprint",
    "geometry",
    "instances",
    "measure",
    "normalize",
    "plan",
    "preprocess",
    "processor",
    "tiling",
    "cli.parser",
    "data.check",
    "data.labels",
    "data.pairs",
    "data.synthetic",
    "data.weight_map",
    "draw",
    "engines",
    "engines.choosing",
    "guard.verdict",
    "io.images",
    "metrics.classes",
    "metrics.matching",
    "metrics.overlap",
    "metrics.partition",
    "metrics.pixel",
    "metrics.scores",
    "model.weights",
    "packages.load",
    "prediction",
    "streaming.run",
    "workflow.decoding",
    "workflow.evaluation",
    "workflow.predicting",
    "workflow.verifying",
]
MODULES = [
    module.name
    for module in pkgutil.walk_packages(unseam.__path__, "unseam.")
    if not module.name.endswith("__main__")  # which runs the command line
]


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)


# Names


def test_all_is_sorted_and_is_what_dir_shows() -> None:
    assert unseam.__all__ == sorted(unseam.__all__)
    assert [name for name in dir(unseam) if not name.startswith("_")] == unseam.__all__


@pytest.mark.parametrize("name", unseam.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(unseam, name)
    assert value.__name__ == name and value.__module__.startswith("unseam.")
    assert inspect.getdoc(value)


def test_a_type_checker_sees_the_names_that_are_loaded_lazily() -> None:
    source = inspect.getsource(unseam).split("if TYPE_CHECKING:")[1].split("\n\n")[0]
    seen = {
        name.strip(): home
        for home, names in re.findall(r"from (\S+) import (.+)", source)
        for name in names.split(",")
    }
    assert seen == unseam._HOMES
    assert sorted(unseam._HOMES) == unseam.__all__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'unseam' has no attribute 'segmentation'"):
        _ = unseam.segmentation


# Imports


def test_rooms_without_torch_never_import_it() -> None:
    done = run(
        "import sys, importlib, unseam\n"
        f"for room in {ROOMS_WITHOUT_TORCH}:\n"
        "    importlib.import_module(f'unseam.{room}')\n"
        "    if 'torch' in sys.modules: sys.exit(f'{room} imports torch')\n"
    )
    assert done.returncode == 0, done.stderr


def test_the_help_is_shown_without_torch_or_numpy() -> None:
    done = run(
        "import sys\n"
        "from unseam.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "heavy = {'torch', 'numpy', 'scipy', 'skimage', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'--help imports {heavy}' if heavy else 0)\n"
    )
    assert done.returncode == 0, done.stderr
    assert "train" in done.stdout and "predict" in done.stdout


def test_prediction_starts_without_what_few_images_need() -> None:
    rare = {"matplotlib", "rich", "roifile", "filelock", "pandas", "skimage", "scipy.sparse", "scipy.spatial"}
    done = run(
        "import sys, unseam.cli.commands.predict, unseam.workflow.predicting\n"
        f"rare = {rare} & set(sys.modules)\n"
        "sys.exit(f'unseam predict imports {rare}' if rare else 0)\n"
    )
    assert done.returncode == 0, done.stderr


def test_imports_point_downwards() -> None:
    done = run("from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))")
    assert done.returncode == 0, done.stdout + done.stderr


# Errors


def drawn_tree() -> dict[str, tuple[str, str | None, int | None]]:
    """Name: (its parent in the drawing, its second base, its exit code where one is drawn)."""
    tree: dict[str, tuple[str, str | None, int | None]] = {}
    above: dict[int, str] = {}
    pattern = re.compile(r"^([ │├└─]*)(\w+Error)\s*(?:\((\w+)\))?\s*(?:exit code (\d))?")
    assert errors.__doc__
    for line in errors.__doc__.splitlines():
        if found := pattern.match(line):
            level = len(found[1])
            parent = above.get(max((other for other in above if other < level), default=-1), "Exception")
            tree[found[2]] = (parent, found[3], int(found[4]) if found[4] else None)
            above = {other: name for other, name in above.items() if other < level} | {level: found[2]}
    return tree


def test_the_tree_of_errors_is_as_drawn() -> None:
    tree = drawn_tree()
    classes = {
        name: kind
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and not issubclass(kind, Warning)
    }
    assert set(tree) == set(classes)
    assert len(tree) > 8
    for name, (parent, second, code) in tree.items():
        bases = [base.__name__ for base in classes[name].__bases__]
        assert bases == [parent, second] if second else bases == [parent], name
        expected = code if code is not None else classes[parent].exit_code
        assert classes[name].exit_code == expected, name
        assert classes[name].__doc__, name


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.InputError, ValueError),
        (errors.ShapeError, ValueError),
        (errors.ModelFileError, OSError),
        (errors.OutputError, OSError),
        (errors.OutputExistsError, OSError),
        (errors.TrainingError, RuntimeError),
        (errors.MissingExtraError, ImportError),
    ],
)
def test_errors_are_caught_as_the_builtin_ones(
    kind: type[errors.UnseamError], builtin: type[Exception]
) -> None:
    with pytest.raises(builtin, match="what was given"):
        raise kind("what was given")


# Examples


@pytest.mark.parametrize("name", ["unseam", *MODULES])
def test_examples_run(name: str) -> None:
    module = import_module(name)
    names = {**vars(module), "np": np, "unseam": unseam}
    assert doctest.testmod(module, extraglobs=names).failed == 0


def test_there_are_examples() -> None:
    found = [
        test
        for name in MODULES
        for test in doctest.DocTestFinder().find(import_module(name))
        if test.examples
    ]
    assert len(found) > 10


def test_every_module_says_what_it_is_for() -> None:
    bare = [
        name
        for name in MODULES
        if not import_module(name).__doc__ and Path(str(import_module(name).__file__)).read_text().strip()
    ]
    assert not bare
