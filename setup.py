"""Everything is in pyproject.toml, but for the order of two names."""

from setuptools import setup
from setuptools.command.egg_info import egg_info


class PluginFirst(egg_info):
    """Writes the plugin before the engine: ``scipion3 installp`` takes the first name for the plugin."""

    def write_file(self, what, filename, data):
        """Write a file of the package's metadata."""
        if what == "top-level names":
            data = "\n".join(sorted(data.split(), reverse=True)) + "\n"
        super().write_file(what, filename, data)


setup(cmdclass={"egg_info": PluginFirst})
