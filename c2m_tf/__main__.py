"""python -m c2m_tf: the command line, where the program c2m-tf is not on the path."""

import sys

from c2m_tf.cli import main

if __name__ == "__main__":
    sys.exit(main())
