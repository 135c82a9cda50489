"""The store: tables part by part, with their provenance, taken from records that are attested or
measured, here or by workers. Knows rows, not what they mean.
"""

from reproduction.results.attest import NotAttested, NotRecorded, tell_origins
from reproduction.results.origin import provenance
from reproduction.results.recorded import list_origins, use_records
from reproduction.results.store import collect, gather, remember, save, save_origins
