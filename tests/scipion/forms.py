"""The form of every protocol, walked as Scipion's web front end walks it: a plain list that JSON can hold."""

import json
import sys

import pyworkflow
from pyworkflow.protocol import params
from pyworkflow.viewer import DESKTOP_TKINTER


def described(name, param, place):
    """Return what the front end is told of one parameter."""
    choices = getattr(param, "choices", None)
    pointer = getattr(param, "pointerClass", None)
    return {
        "name": name,
        "paramClass": type(param).__name__,
        "place": place,
        "label": param.label.get(),
        "help": param.help.get(),
        "default": param.default.get() if hasattr(param, "default") else None,
        "condition": param.condition.get(),
        "expertLevel": param.expertLevel.get(),
        "choices": list(choices) if choices is not None else None,
        "pointerClass": pointer.get() if pointer is not None else None,
    }


def walked(definition):
    """Yield the parameters of the sections: those of a group, and those of a line in it, but nothing deeper."""
    for section in definition.iterSections():
        if section.getLabel() in ("General", "Parallelization"):
            continue
        for name, param in section.iterParams():
            yield from _below(name, param, [section.getLabel()])


def _below(name, param, place):
    yield described(name, param, place)
    if isinstance(param, (params.Group, params.Line)):
        for inner, one in param.iterParams():
            yield from _below(inner, one, [*place, type(param).__name__])


def protocols():
    """Return name -> class of the plugin's protocols."""
    domain = pyworkflow.Config.getDomain()
    domain.getPlugins()
    return {n: c for n, c in domain.getProtocols().items() if c.__module__.startswith("cryoresplugin")}


def viewersOf(protocol):
    """Return the classes of the viewers that *Analyze results* knows; it opens the first."""
    return [viewer.__name__ for viewer in pyworkflow.Config.getDomain().findViewers(protocol, DESKTOP_TKINTER)]


if __name__ == "__main__":
    found = {}
    for name, protocol in protocols().items():
        made = protocol()
        fields = list(walked(made._definition))
        for field in fields:  # what a condition says is asked of the protocol, as the form does
            field["shown"] = bool(made.evalParamCondition(field["name"])) if field["condition"] else True
        outputs = {one if isinstance(one, str) else one.__name__ for one in protocol._possibleOutputs.values()}
        found[name] = {
            "label": protocol._label, "help": protocol.getHelpText(), "fields": fields, "outputs": sorted(outputs),
            "viewers": viewersOf(made),
        }  # fmt: skip
    json.dump(found, sys.stdout, allow_nan=False)
