"""What is left of processes that are killed while they write."""

from killed_writer import write_and_be_killed

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
