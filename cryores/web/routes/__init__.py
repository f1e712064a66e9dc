"""The addresses that the server answers, a file for each subject; each has ``routes(service) -> APIRouter``."""
