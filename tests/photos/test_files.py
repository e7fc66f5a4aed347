"""What is left of processes that are killed while they write."""

import os
import subprocess
import sys
import time

import pytest
from killed_writer import write_and_be_killed

from c2m_tf.photos import files
from c2m_tf.photos.files import remove_left_over, replacing


def test_rests_of_killed_processes_are_removed_and_those_of_other_files_stay(tmp_path):
    (tmp_path / "a.png").write_bytes(b"whole")
    for name in ("a.png", "a.png", "b.png"):
        write_and_be_killed(tmp_path / name)
    assert len(list(tmp_path.glob(".c2m-tf.*.png"))) == 3
    with replacing(tmp_path / "c.png") as written_now:
        remove_left_over([tmp_path / "a.png", tmp_path / "nothing.png", tmp_path / "no folder/a.png"])
        assert len(list(tmp_path.glob(".c2m-tf.*.png"))) == 2
        assert written_now.exists()
    assert (tmp_path / "a.png").read_bytes() == b"whole"
    remove_left_over([tmp_path / "b.png"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "c.png"]


def test_rests_lie_beside_what_a_link_points_to(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path / "far/a.png")
    write_and_be_killed(tmp_path / "link.png")
    assert len(list((tmp_path / "far").iterdir())) == 1
    remove_left_over([tmp_path / "link.png"])
    assert not list((tmp_path / "far").iterdir())


def test_names_of_any_length_have_temporary_files(tmp_path):
    for name in ("a" * 251 + ".png", "a." + "b" * 200):
        with replacing(tmp_path / name) as temporary:
            temporary.write_bytes(b"whole")
        assert (tmp_path / name).read_bytes() == b"whole"


def test_files_of_processes_that_still_write_stay(tmp_path):
    with replacing(tmp_path / "a.png") as own:
        remove_left_over([tmp_path / "a.png"])
        assert own.exists()
        code = "import sys; from c2m_tf.photos.files import remove_left_over; remove_left_over(sys.argv[1:])"
        subprocess.run([sys.executable, "-c", code, f"{tmp_path}/a.png"], check=True)
        assert own.exists()
        own.write_bytes(b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(("age", "stays"), [(0, True), (7200, False)])
def test_files_of_other_machines_stay_while_they_change(tmp_path, monkeypatch, age, stays):
    write_and_be_killed(tmp_path / "a.png")
    (temporary,) = tmp_path.iterdir()
    os.utime(temporary, (time.time() - age,) * 2)
    monkeypatch.setattr(files, "_machine", lambda: "elsewhere")
    remove_left_over([tmp_path / "a.png"])
    assert temporary.exists() == stays


def test_a_file_of_a_process_of_the_same_number_in_an_earlier_container_is_removed(tmp_path):
    left = tmp_path / f"{files._temporary_prefix('a.png')}x.png"
    left.touch()
    remove_left_over([tmp_path / "a.png"])
    assert not left.exists()


def test_folders_of_killed_processes_are_removed_by_the_next(tmp_path):
    code = "import os, sys; from c2m_tf.photos.files import temporary_folder\nwith temporary_folder(sys.argv[1]): os._exit(9)"
    subprocess.run([sys.executable, "-c", code, f"{tmp_path}/version"], check=False)
    (left,) = tmp_path.iterdir()
    (left / "model").mkdir()
    with files.temporary_folder(tmp_path / "version") as first, files.temporary_folder(tmp_path / "version") as second:
        assert sorted(tmp_path.iterdir()) == sorted([first, second])
    assert not list(tmp_path.iterdir())
