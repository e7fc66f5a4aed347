"""What a user names as a model, beside files and folders of the same names."""

import numpy as np
import pytest

from c2m_tf import Upscaler
from c2m_tf.cli import main
from c2m_tf.photos import images
from c2m_tf.presets import PRESETS
from c2m_tf.upscaling.opening import open_model


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("lying_there", ["folder", "file", "link to itself"])
def test_a_preset_is_meant_whatever_lies_in_the_working_folder(tmp_path, monkeypatch, name, lying_there):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    if lying_there == "folder":
        path.mkdir()
        (path / "config.json").write_text("{}")
    elif lying_there == "file":
        path.write_bytes(b"no model")
    else:
        path.symlink_to(path)
    assert open_model(name).model.count_params() == PRESETS[name].parameters


@pytest.mark.parametrize("command", ["upscale", "evaluate", "export"])
def test_a_folder_is_meant_where_it_is_named_as_one(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "light").mkdir()
    (tmp_path / "pairs").mkdir()
    for name in ("lr.png", "pairs/a_0.png", "pairs/a_1.png"):
        images.write(tmp_path / name, np.zeros((40, 40, 3), np.uint8))
    arguments = {
        "upscale": ["upscale", "-i", "lr.png", "-o", "sr.png"],
        "evaluate": ["evaluate", "--pairs", "pairs"],
        "export": ["export", "saved-model", "-o", "out"],
    }[command]
    assert main([*arguments, "--model", "./light"]) == 2
    assert "light" in capsys.readouterr().err


@pytest.mark.parametrize("version", ["\u00b2", "\u0663", "-1", "1.5", "one", ""])
def test_folders_that_are_no_version_of_a_saved_model_are_passed_over(tmp_path, version):
    (tmp_path / "m" / version).mkdir(parents=True)
    (tmp_path / "m" / version / "saved_model.pbtxt").touch()
    with pytest.raises(ValueError, match="holds no SavedModel; make one by c2m-tf export saved-model"):
        Upscaler.from_preset(tmp_path / "m")
