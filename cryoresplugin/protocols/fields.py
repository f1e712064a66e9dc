"""The fields that several forms share: the same words for the same thing."""

from pyworkflow.protocol import params

HIGH_LOW_STEP = {"min_resolution": "High", "max_resolution": "Low", "resolution_step": "Step"}
"""Engine parameters that stand in one line of the form, and what they are called there."""

RANGE = "Resolution range (Å)"

LABELS = {
    "min_resolution": "Highest resolution", "max_resolution": "Lowest resolution",
    "resolution_step": "Step of resolution", "cutoff": "FSC threshold", "randomise_below": "Randomise below FSC",
    "fit_min_resolution": "High end of the Guinier fit", "fit_max_resolution": "Low end of the Guinier fit",
    "compat": "As the published program", "seed": "Random seed", "fsc_weighting": "FSC weighting",
    "bfactor": "B-factor", "bfactors": "B-factors", "b_min": "Smallest B", "b_max": "Largest B",
    "trials": "Number of B-factors tried", "target": "What is maximised", "variant": "Way of sharpening",
    "quantile": "Noise quantile", "bandwidth": "Width of a band", "points": "Number of bands",
    "against": "Local resolution of the halves",
    "cone_3dfsc": "Cone of the 3DFSC", "sphericity_cutoff": "Threshold of the sphericity", "weights": "Networks",
    "views": "Rotations averaged", "range": "Expected resolutions (Å)", "sampling": "Distance of the spheres",
    "radius": "Radius of the spheres", "draws": "Sets of random phases", "transition": "Edge of the filters",
    "noise_tile": "Tile of the noise", "smooth": "Smooth the result?", "sigma": "Width of the Q-score",
    "mask_radius": "Radius of the model's mask", "fast": "Fast computation",
    "correction": "Correction for many tests", "whiten": "Whiten the noise", "mode": "Computation",
    "keep_negative": "Keep negative density?", "only_significant": "Only bands above the noise?",
    "secondary_structure": "Weight of secondary structure", "widest_interval": "Widest certain interval",
}  # fmt: skip
"""Engine parameter -> label, where its own name says too little; the unit is added."""

NO_COMPAT = "no"
AUTOMATIC = "automatic"
OPEN = (NO_COMPAT, AUTOMATIC)
"""Choices of a form that leave the value to the method."""


def labelOf(parameter):
    """Return the label of an engine parameter, with its unit."""
    words = LABELS.get(parameter.name, parameter.name.replace("_", " ").capitalize())
    return words + (f" ({parameter.unit.replace('^2', '²')})" if parameter.unit else "")


def openChoice(parameter):
    """Return what the form calls the choice that leaves an engine parameter to the method."""
    return NO_COMPAT if parameter.name == "compat" else AUTOMATIC


def addUseHalves(form, name, why):
    """Add the question whether half maps are used."""
    form.addParam(name, params.BooleanParam, default=False, label="Use half maps?", help=f"Recommended: yes. {why}")


def addAttachedQuestion(form, name, default=True, condition=None):
    """Add the question whether the half maps come with a volume."""
    form.addParam(
        name, params.BooleanParam, default=default, condition=condition,
        label="Are the half maps stored with the volume?",
        help="Yes: give the volume that was imported with its half maps. No: give the two half maps.",
    )  # fmt: skip


def addWithHalves(form, name, condition=None):
    """Add the pointer to a volume that has its half maps attached."""
    form.addParam(
        name, params.PointerParam, pointerClass="Volume", condition=condition, allowsNull=True, important=True,
        label="Volume with half maps",
        help="Volume that was imported with its half maps: as the refinement wrote them, not sharpened, masked or "
             "filtered.",
    )  # fmt: skip


def addHalfMaps(form, names, condition=None):
    """Add the pointers to two half maps."""
    for number, name in enumerate(names, 1):
        form.addParam(
            name, params.PointerParam, pointerClass="Volume", condition=condition, allowsNull=True, important=True,
            label=f"Half map {number}",
            help="As the refinement wrote it: not sharpened, masked or filtered.",
        )  # fmt: skip


def addMap(form, name, help, condition=None, label="Input map", important=True):
    """Add the pointer to the one map that is analysed or processed."""
    form.addParam(
        name, params.PointerParam, pointerClass="Volume", condition=condition, allowsNull=True, important=important,
        label=label, help=help,
    )  # fmt: skip


def addMask(form, name, means, otherwise="it is made from the maps, and is the output outputMask", **more):
    """Add the pointer to the mask: what it is to the method, and what happens without one."""
    more = {"pointerClass": "VolumeMask", "allowsNull": True, **more}
    help = f"{means} 1 inside, 0 outside. Empty: {otherwise}."
    form.addParam(name, params.PointerParam, label="Mask", help=help, **more)


def addModel(form, name, adds):
    """Add the pointer to an atomic model that is not needed."""
    form.addParam(
        name, params.PointerParam, pointerClass="AtomStruct", allowsNull=True, label="Atomic model (optional)",
        help=f"Fitted into the map. {adds}",
    )  # fmt: skip


def addNoValue(form, several=False):
    """Add the number that stands for "no value" in resolution maps."""
    form.addParam(
        "background", params.StringParam, default="auto", expertLevel=params.LEVEL_ADVANCED,
        label="Mark of 'no value' (Å)",
        help="The number that stands for 'no value' in a local resolution, beside 0 and NaN: auto (recommended), none, "
             f"or a number{'; one for all maps, or one for each' if several else ''}.",
    )  # fmt: skip


def addNames(form, of):
    """Add the names of several maps."""
    form.addParam(
        "names", params.StringParam, default="", label=f"Names of the {of}",
        help="One for each map, separated by commas. Empty: those of the runs that made them.",
    )  # fmt: skip
