"""Why a file is not read.

PermanentError
+-- DocumentRefused    empty unsupported_type encrypted corrupt macros archive too_many_entries too_large
zip_bomb xml_entities
"""

from __future__ import annotations

from streams.errors import PermanentError


class DocumentRefused(PermanentError):  # noqa: N818 - it says what happened
    """A file that is not read, now or later; the text says what it is and what to do."""
