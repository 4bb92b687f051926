"""The command line, for all tests of it."""

import pytest

from cli.main import main


@pytest.fixture
def gsd(capfd):
    """Run the command line in this process; gives (exit code, standard output, standard error)."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return run
