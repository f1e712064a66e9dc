"""cryores in Scipion: local resolution and map post-processing as workflow nodes."""

import os
import shlex
import sys

import pwem
from pyworkflow.utils import Environ

from cryores import __version__
from cryoresplugin.constants import (
    CRYORES_PYTHON,
    CRYORES_WEIGHTS,
    CRYORES_WEIGHTS_FROM,
    ENGINE_PACKAGE,
    ENGINE_READY,
    OLDEST_FULL_PYTHON,
    WEIGHTS_FOLDER,
    WEIGHTS_PACKAGE,
    WEIGHTS_VERSION,
)

_logo = "cryores_logo.png"
_references = ["delaRosaTrevin2016"]


class Plugin(pwem.Plugin):
    """How Scipion finds, installs and starts the engine."""

    _homeVar = ""
    # Nothing here: a variable listed here that points nowhere would stop every protocol of the plugin.
    _pathVars = []
    _supportedVersions = []
    _url = "https://github.com/cryores/scipion-em-cryores"

    def getName(self):
        """Return what Scipion writes before the names of our protocols; the package's own name fills a narrow list."""
        return "cryores"

    @classmethod
    def _defineVariables(cls):
        cls._defineVar(CRYORES_PYTHON, "", description="Python interpreter that has cryores; empty: Scipion's own.")
        cls._defineEmVar(CRYORES_WEIGHTS, WEIGHTS_FOLDER, description="Folder of the published weights of networks.")
        # The engine looks there too: in its process, and in this one when a form is checked.
        os.environ.setdefault(CRYORES_WEIGHTS, cls.getVar(CRYORES_WEIGHTS))
        cls._defineVar(
            CRYORES_WEIGHTS_FROM, "", description="File or folder with weights for installb; empty: from the network."
        )

    @classmethod
    def getEnginePython(cls):
        """Return the interpreter of the engine: the one that is set, else the one installed beside, else this one."""
        chosen = cls.getVar(CRYORES_PYTHON)
        if chosen:
            return os.path.expanduser(chosen)
        beside = os.path.join(cls._engineHome(), "env", "bin", "python")
        return beside if os.path.exists(beside) else sys.executable

    @classmethod
    def getEnviron(cls):
        """Return the environment of the engine; another interpreter must not meet Scipion's own libraries."""
        environ = Environ(os.environ)
        if cls.getEnginePython() != sys.executable:
            for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "LD_LIBRARY_PATH"):
                environ.pop(name, None)
        return environ

    @classmethod
    def runCryores(cls, protocol, method, arguments):
        """Run ``cryores METHOD ARGUMENTS`` as a job of a protocol.

        Parameters
        ----------
        protocol : Protocol
            Whose job it is.
        method : str
            The engine's name of the method.
        arguments : list of str
            Words of its command line, not quoted.
        """
        words = " ".join(shlex.quote(str(word)) for word in ["-m", "cryores", method, *arguments])
        protocol.runJob(
            shlex.quote(cls.getEnginePython()), words, env=cls.getEnviron(), numberOfMpi=1, numberOfThreads=1
        )

    @classmethod
    def missingWeights(cls, name, file=None):
        """Return what a protocol's ``_validate`` says of weights that it needs: nothing where they are installed.

        Parameters
        ----------
        name : str
            A set of ``cryores weights list``, such as ``deepres``.
        file : str, optional
            The file of the set that is needed; default, any.

        Returns
        -------
        list of str
            Empty, or one message with the command that brings them.
        """
        from cryores.nets import weights

        if weights.installed_in(name, file=file):
            return []
        command = f"scipion3 installb {WEIGHTS_PACKAGE.format(name)}"
        return [
            f"The published weights '{name}' are not installed. Run\n    {command}\n"
            f"or, without a network,\n    {CRYORES_WEIGHTS_FROM}=FILE_OR_FOLDER {command}\n"
            f"({weights.weight_set(name).by_hand})."
        ]

    @classmethod
    def defineBinaries(cls, env):
        """Offer the published weights, and an engine environment where Scipion's Python is too old for the networks."""
        if sys.version_info < OLDEST_FULL_PYTHON:
            env.addPackage(
                ENGINE_PACKAGE,
                version=__version__,
                tar="void.tgz",
                commands=[(cls._engineCommand(), ENGINE_READY)],
                default=True,
            )
        cls._offerWeights(env)

    @classmethod
    def _offerWeights(cls, env):
        """Add a package a set of weights; none is installed by itself, so that no installation hangs on a server."""
        from cryores.nets import weights

        folder = cls.getVar(CRYORES_WEIGHTS)
        for name in weights.weight_sets():
            words = [sys.executable, "-m", "cryores", "weights", "fetch", name, "--weights-dir", folder]
            if cls.getVar(CRYORES_WEIGHTS_FROM):
                words += ["--from", os.path.abspath(cls.getVar(CRYORES_WEIGHTS_FROM))]
            # Scipion takes the package's folder for the installed package: where it failed there must be none.
            command = " ".join(map(shlex.quote, words)) + ' || { rmdir "$PWD"; false; }'
            # The record is written last; with the files it says that the installation is complete.
            installed = [os.path.join(folder, f"{name}.json"), os.path.join(folder, name, "*")]
            env.addPackage(
                WEIGHTS_PACKAGE.format(name),
                version=WEIGHTS_VERSION,
                tar="void.tgz",
                commands=[(command, installed)],
                default=False,
            )

    @classmethod
    def _engineHome(cls):
        return os.path.join(pwem.Config.EM_ROOT, f"{ENGINE_PACKAGE}-{__version__}")

    @classmethod
    def _engineCommand(cls):
        """Return the shell command that makes the engine's environment: by conda, or by the newest Python with venv."""
        activate = cls.getCondaActivationCmd()
        if activate:
            make = f"{activate} conda create -y -p env python=3.11"
        else:
            newer = " || ".join(f"python3.{minor} -m venv env" for minor in (12, 11, 10))
            make = f"({newer} || (echo 'install conda, or Python 3.10 to 3.12, and run installb again'; false))"
        checkout = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        source = checkout if os.path.exists(os.path.join(checkout, "pyproject.toml")) else "scipion-em-cryores"
        return f"{make} && env/bin/python -m pip install {shlex.quote(source)} && touch {ENGINE_READY}"
