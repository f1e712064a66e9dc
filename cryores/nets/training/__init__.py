"""How the networks that ship with the package were trained; ``cryores train`` runs it."""
