"""A process that ends without any cleaning up while it writes a file, as one does that the system kills."""

import subprocess
import sys

_CODE = """
import os, sys
from c2m_tf.photos.files import replacing
with replacing(sys.argv[1]) as temporary:
    temporary.write_bytes(b"half")
    os._exit(9)
"""


def write_and_be_killed(path):
    assert subprocess.run([sys.executable, "-c", _CODE, f"{path}"], check=False).returncode == 9
