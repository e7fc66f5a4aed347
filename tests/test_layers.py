"""Which folder imports which, as docs/design.md draws it, and that no modules import each other in a circle."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"c2m_tf": ROOT / "c2m_tf", "c2m_tf.training": ROOT / "training", "c2m_tf.export": ROOT / "export"}

# Each layer and what it may import besides itself. `top` are the modules of c2m_tf itself that every layer may import.
LAYERS = {
    "top": set(),
    "photos": {"top"},
    "presets": {"top", "photos"},
    "network": {"top", "presets"},
    "weights": {"top", "photos", "presets", "network"},
    "upscaling": {"top", "photos", "presets", "network", "weights"},
    "jobs": {"top", "photos", "network", "weights", "upscaling"},
    "evaluation": {"top", "photos", "network", "weights", "upscaling"},
    "server": {"top", "photos", "network", "weights", "upscaling"},
    "training": {"top", "photos", "presets", "network", "weights", "upscaling", "evaluation"},
    "export": {"top", "photos", "presets", "network", "weights", "upscaling", "evaluation", "training"},
    "commands": {
        *("top", "photos", "presets", "network", "weights", "upscaling", "jobs", "evaluation", "server", "training", "export"),
    },
    "cli": {"top", "commands"},
}
# Imports that run up the layers. None is at the top of a file: classes of the public interface are loaded on first use.
UPWARDS = {
    ("c2m_tf", "c2m_tf.network.model"),
    ("c2m_tf", "c2m_tf.network.mobile"),
    ("c2m_tf", "c2m_tf.photos.image"),
    ("c2m_tf", "c2m_tf.upscaling.album"),
    ("c2m_tf", "c2m_tf.upscaling.upscaler"),
    ("c2m_tf.upscaling.upscaler", "c2m_tf.jobs.work"),
}


def modules():
    """{name: file} of every module that the wheel installs."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            name = ".".join((package, *parts)).removesuffix(".__init__")
            found[name] = path
    return found


def layer_of(module):
    parts = module.split(".")
    if module == "c2m_tf.cli" or module.endswith(".__main__"):
        return "cli"
    return parts[1] if len(parts) > 1 and parts[1] in LAYERS else "top"


def targets(node, module, path, names):
    """Modules that an import statement names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names if alias.name in names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
        base = ".".join([*package[: len(package) - node.level + 1], base]).rstrip(".")
    if base not in names:
        return []
    within = [f"{base}.{alias.name}" for alias in node.names if f"{base}.{alias.name}" in names]
    return within or [base]


def arrows():
    """(importing module, imported module, whether the statement stands at the top of the file) of every import."""
    names = modules()
    found = set()
    for module, path in names.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        at_top = {id(node) for node in tree.body}
        for node in ast.walk(tree):
            found |= {(module, target, id(node) in at_top) for target in targets(node, module, path, names)}
    return found


@pytest.fixture(scope="module")
def imports():
    found = arrows()
    assert ("c2m_tf.cli", "c2m_tf.commands.upscale", True) in found
    assert ("c2m_tf.training.stages", "c2m_tf.training.config", True) in found
    return found


def test_imports_run_down_the_layers(imports):
    upwards = set()
    for module, target, at_top in imports:
        layer, other = layer_of(module), layer_of(target)
        if layer != other and other not in LAYERS[layer]:
            assert not at_top, f"{module} imports {target}"
            upwards.add((module, target))
    assert upwards == UPWARDS


def test_modules_do_not_import_each_other_in_a_circle(imports):
    below = {}
    for module, target, _ in imports:
        if module != target and (module, target) not in UPWARDS:
            below.setdefault(module, set()).add(target)
    finished, open_modules = set(), []

    def visit(module):
        assert module not in open_modules, " -> ".join([*open_modules[open_modules.index(module) :], module])
        if module in finished:
            return
        open_modules.append(module)
        for target in below.get(module, ()):
            visit(target)
        open_modules.pop()
        finished.add(module)

    for module in sorted(below):
        visit(module)
