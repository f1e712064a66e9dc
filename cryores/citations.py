"""The literature that each method comes from: one BibTeX entry a key, the only place where citations are written."""

from __future__ import annotations

import re
from typing import Dict, List, Sequence

from cryores.errors import UsageError

BIBTEX: Dict[str, str] = {
    "Harauz1986": """@article{Harauz1986,
  title = {Exact filters for general geometry three dimensional reconstruction},
  author = {Harauz, George and van Heel, Marin},
  journal = {Optik}, volume = {73}, pages = {146--156}, year = {1986}
}""",
    "Rosenthal2003": """@article{Rosenthal2003,
  title = {Optimal determination of particle orientation, absolute hand, and contrast loss in single-particle electron cryomicroscopy},
  author = {Rosenthal, Peter B. and Henderson, Richard},
  journal = {Journal of Molecular Biology}, volume = {333}, pages = {721--745}, year = {2003},
  doi = {10.1016/j.jmb.2003.07.013}
}""",
    "vanHeel2005": """@article{vanHeel2005,
  title = {Fourier shell correlation threshold criteria},
  author = {van Heel, Marin and Schatz, Michael},
  journal = {Journal of Structural Biology}, volume = {151}, pages = {250--262}, year = {2005},
  doi = {10.1016/j.jsb.2005.05.009}
}""",
    "Chen2013": """@article{Chen2013,
  title = {High-resolution noise substitution to measure overfitting and validate resolution in 3D structure determination by single particle electron cryomicroscopy},
  author = {Chen, Shaoxia and McMullan, Greg and Faruqi, Abdul R. and Murshudov, Garib N. and Short, Judith M. and Scheres, Sjors H. W. and Henderson, Richard},
  journal = {Ultramicroscopy}, volume = {135}, pages = {24--35}, year = {2013},
  doi = {10.1016/j.ultramic.2013.06.004}
}""",
    "Cardone2013": """@article{Cardone2013,
  title = {One number does not fit all: mapping local variations in resolution in cryo-EM reconstructions},
  author = {Cardone, Giovanni and Heymann, J. Bernard and Steven, Alasdair C.},
  journal = {Journal of Structural Biology}, volume = {184}, pages = {226--236}, year = {2013},
  doi = {10.1016/j.jsb.2013.08.002}
}""",
    "Kucukelbir2014": """@article{Kucukelbir2014,
  title = {Quantifying the local resolution of cryo-EM density maps},
  author = {Kucukelbir, Alp and Sigworth, Fred J. and Tagare, Hemant D.},
  journal = {Nature Methods}, volume = {11}, pages = {63--65}, year = {2014},
  doi = {10.1038/nmeth.2727}
}""",
    "Kimanius2016": """@article{Kimanius2016,
  title = {Accelerated cryo-EM structure determination with parallelisation using GPUs in RELION-2},
  author = {Kimanius, Dari and Forsberg, Bjorn O. and Scheres, Sjors H. W. and Lindahl, Erik},
  journal = {eLife}, volume = {5}, pages = {e18722}, year = {2016},
  doi = {10.7554/eLife.18722}
}""",
    "Jakobi2017": """@article{Jakobi2017,
  title = {Model-based local density sharpening of cryo-EM maps},
  author = {Jakobi, Arjen J. and Wilmanns, Matthias and Sachse, Carsten},
  journal = {eLife}, volume = {6}, pages = {e27131}, year = {2017},
  doi = {10.7554/eLife.27131}
}""",
    "Kaur2021": """@article{Kaur2021,
  title = {Local computational methods to improve the interpretability and analysis of cryo-EM maps},
  author = {Kaur, Satinder and Gomez-Blanco, Josue and Khalifa, Ahmad A. Z. and Adinarayanan, Swathi and Sanchez-Garcia, Ruben and Wrapp, Daniel and McLellan, Jason S. and Bui, Khanh Huy and Vargas, Javier},
  journal = {Nature Communications}, volume = {12}, pages = {1240}, year = {2021},
  doi = {10.1038/s41467-021-21509-5}
}""",
    "Pintilie2020": """@article{Pintilie2020,
  title = {Measurement of atom resolvability in cryo-EM maps with Q-scores},
  author = {Pintilie, Grigore and Zhang, Kaiming and Su, Zhaoming and Li, Shanshan and Schmid, Michael F. and Chiu, Wah},
  journal = {Nature Methods}, volume = {17}, pages = {328--334}, year = {2020},
  doi = {10.1038/s41592-020-0731-1}
}""",
    "Afonine2018": """@article{Afonine2018,
  title = {New tools for the analysis and validation of cryo-EM maps and atomic models},
  author = {Afonine, Pavel V. and Klaholz, Bruno P. and Moriarty, Nigel W. and Poon, Billy K. and Sobolev, Oleg V. and Terwilliger, Thomas C. and Adams, Paul D. and Urzhumtsev, Alexandre},
  journal = {Acta Crystallographica Section D}, volume = {74}, pages = {814--840}, year = {2018},
  doi = {10.1107/S2059798318009324}
}""",
    "SanchezGarcia2021": """@article{SanchezGarcia2021,
  title = {DeepEMhancer: a deep learning solution for cryo-EM volume post-processing},
  author = {Sanchez-Garcia, Ruben and Gomez-Blanco, Josue and Cuervo, Ana and Carazo, Jose Maria and Sorzano, Carlos Oscar S. and Vargas, Javier},
  journal = {Communications Biology}, volume = {4}, pages = {874}, year = {2021},
  doi = {10.1038/s42003-021-02399-1}
}""",
    "Vilas2018": """@article{Vilas2018,
  title = {MonoRes: automatic and accurate estimation of local resolution for electron microscopy maps},
  author = {Vilas, Jose Luis and Gomez-Blanco, Josue and Conesa, Pablo and Melero, Roberto and de la Rosa-Trevin, Jose Miguel and Oton, Joaquin and Cuenca, Jesus and Marabini, Roberto and Carazo, Jose Maria and Vargas, Javier and Sorzano, Carlos Oscar S.},
  journal = {Structure}, volume = {26}, pages = {337--344}, year = {2018},
  doi = {10.1016/j.str.2017.12.018}
}""",
    "Vilas2020Directional": """@article{Vilas2020Directional,
  title = {Measuring local-directional resolution and local anisotropy in cryo-EM maps},
  author = {Vilas, Jose Luis and Tagare, Hemant D. and Vargas, Javier and Carazo, Jose Maria and Sorzano, Carlos Oscar S.},
  journal = {Nature Communications}, volume = {11}, pages = {55}, year = {2020},
  doi = {10.1038/s41467-019-13742-w}
}""",
    "Vilas2020": """@article{Vilas2020,
  title = {Local resolution estimates of cryoEM reconstructions},
  author = {Vilas, Jose Luis and Heymann, J. Bernard and Tagare, Hemant D. and Ramirez-Aportela, Erney and Carazo, Jose Maria and Sorzano, Carlos Oscar S.},
  journal = {Current Opinion in Structural Biology}, volume = {64}, pages = {74--78}, year = {2020},
  doi = {10.1016/j.sbi.2020.06.005}
}""",
    "Bingham1974": """@article{Bingham1974,
  title = {An antipodally symmetric distribution on the sphere},
  author = {Bingham, Christopher},
  journal = {Annals of Statistics}, volume = {2}, pages = {1201--1225}, year = {1974},
  doi = {10.1214/aos/1176342874}
}""",
    "Tan2017": """@article{Tan2017,
  title = {Addressing preferred specimen orientation in single-particle cryo-EM through tilting},
  author = {Tan, Yong Zi and Baldwin, Philip R. and Davis, Joseph H. and Williamson, James R. and Potter, Clinton S. and Carragher, Bridget and Lyumkis, Dmitry},
  journal = {Nature Methods}, volume = {14}, pages = {793--796}, year = {2017},
  doi = {10.1038/nmeth.4347}
}""",
    "Vilas2023": """@article{Vilas2023,
  title = {New measures of anisotropy of cryo-EM maps},
  author = {Vilas, Jose Luis and Tagare, Hemant D.},
  journal = {Nature Methods}, volume = {20}, pages = {1021--1024}, year = {2023},
  doi = {10.1038/s41592-023-01874-3}
}""",
    "Beckers2020": """@article{Beckers2020,
  title = {Permutation testing of Fourier shell correlation for resolution estimation of cryo-EM maps},
  author = {Beckers, Maximilian and Sachse, Carsten},
  journal = {Journal of Structural Biology}, volume = {212}, pages = {107579}, year = {2020},
  doi = {10.1016/j.jsb.2020.107579}
}""",
    "RamirezAportela2019": """@article{RamirezAportela2019,
  title = {DeepRes: a new deep-learning- and aspect-based local resolution method for electron-microscopy maps},
  author = {Ramirez-Aportela, Erney and Mota, Javier and Conesa, Pablo and Carazo, Jose Maria and Sorzano, Carlos Oscar S.},
  journal = {IUCrJ}, volume = {6}, pages = {1054--1063}, year = {2019},
  doi = {10.1107/S2052252519011692}
}""",
    "RamirezAportela2020": """@article{RamirezAportela2020,
  title = {Automatic local resolution-based sharpening of cryo-EM maps},
  author = {Ramirez-Aportela, Erney and Vilas, Jose Luis and Glukhova, Alisa and Melero, Roberto and Conesa, Pablo and Martinez, Marta and Maluenda, David and Mota, Javier and Jimenez, Amaya and Vargas, Javier and Marabini, Roberto and Sexton, Patrick M. and Carazo, Jose Maria and Sorzano, Carlos Oscar S.},
  journal = {Bioinformatics}, volume = {36}, pages = {765--772}, year = {2020},
  doi = {10.1093/bioinformatics/btz671}
}""",
    "Terwilliger2018": """@article{Terwilliger2018,
  title = {Automated map sharpening by maximization of detail and connectivity},
  author = {Terwilliger, Thomas C. and Sobolev, Oleg V. and Afonine, Pavel V. and Adams, Paul D.},
  journal = {Acta Crystallographica Section D}, volume = {74}, pages = {545--559}, year = {2018},
  doi = {10.1107/S2059798318004655}
}""",
    "Vilas2020Tomo": """@article{Vilas2020Tomo,
  title = {Measurement of local resolution in electron tomography},
  author = {Vilas, Jose Luis and Oton, Joaquin and Messaoudi, Cedric and Melero, Roberto and Conesa, Pablo and Ramirez-Aportela, Erney and Mota, Javier and Martinez, Marta and Jimenez, Amaya and Marabini, Roberto and Carazo, Jose Maria and Vargas, Javier and Sorzano, Carlos Oscar S.},
  journal = {Journal of Structural Biology: X}, volume = {4}, pages = {100016}, year = {2020},
  doi = {10.1016/j.yjsbx.2019.100016}
}""",
    "delaRosaTrevin2016": """@article{delaRosaTrevin2016,
  title = {Scipion: a software framework toward integration, reproducibility, and validation in 3D electron microscopy},
  author = {de la Rosa-Trevin, Jose Miguel and Quintana, Adrian and del Cano, Laura and Zaldivar-Peraza, Airen and Foche, Ignacio and Gutierrez, Jose and Gomez-Blanco, Josue and Burguet-Castells, Javier and Cuenca-Alba, Jesus and Abrishami, Vahid and Vargas, Javier and Oton, Joaquin and Sharov, Grigory and Vilas, Jose Luis and Navas, Jordi and Conesa, Pablo and Kazemi, Mohsen and Marabini, Roberto and Sorzano, Carlos Oscar S. and Carazo, Jose Maria},
  journal = {Journal of Structural Biology}, volume = {195}, pages = {93--99}, year = {2016},
  doi = {10.1016/j.jsb.2016.04.010}
}""",
}


def cite(keys: Sequence[str]) -> List[Dict[str, str]]:
    """Return key, text, doi and BibTeX of the entries named.

    Raises
    ------
    UsageError
        For a key that is not here.
    """
    unknown = [key for key in keys if key not in BIBTEX]
    if unknown:
        raise UsageError("E_CITATION", f"unknown citation {', '.join(unknown)}", f"known: {', '.join(BIBTEX)}")
    entries = [(key, BIBTEX[key]) for key in keys]
    return [{"key": key, "text": _text(e), "doi": _field(e, "doi"), "bibtex": e} for key, e in entries]


def _field(entry: str, name: str) -> str:
    found = re.search(rf"\b{name} = {{(.*?)}}", entry)
    return found.group(1) if found else ""


def _text(entry: str) -> str:
    authors = _field(entry, "author").split(" and ")
    first = authors[0].split(",")[0]
    who = (
        first
        if len(authors) == 1
        else f"{first} and {authors[1].split(',')[0]}"
        if len(authors) == 2
        else f"{first} et al."
    )
    where = " ".join(filter(None, (_field(entry, "journal"), _field(entry, "volume"))))
    return f"{who} ({_field(entry, 'year')}). {_field(entry, 'title')}. {where}, {_field(entry, 'pages').replace('--', '–')}."
