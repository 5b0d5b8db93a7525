"""An open implementation of CBSSInscription: inscriptions in the person repertory of the KSZ/BCSS.

ARCHITECTURE.md draws the stations a message passes; each subpackage is one of them.
"""

__version__ = "0.1.0"
