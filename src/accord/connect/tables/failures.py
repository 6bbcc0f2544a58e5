"""Why a file of rows cannot be taken as a whole. A row that cannot be read is no failure of its file."""

from __future__ import annotations

from accord.errors import UsageError


class FileNotTaken(UsageError):
    """The file as a whole cannot be taken; `reason` is stable, for counting and for one case per reason."""

    title = "File not taken"
    reason = "file_not_taken"
    cure = "Have the file sent again as it was agreed."


class NotDecodable(FileNotTaken):
    """The bytes are no text in the encoding the file must have."""

    reason = "file_not_decodable"
    cure = "Declare the encoding of the files in their table, or have the file sent again."


class FileTruncated(FileNotTaken):
    """The file ends in the middle: its transfer was cut off, or is still under way."""

    reason = "file_truncated"
    cure = "Have the file sent again, whole."


class ColumnsUnknown(FileNotTaken):
    """The columns are not those that were declared: one is missing, or one that nobody declared is there."""

    reason = "file_columns_unknown"
    cure = "Have the file sent with the agreed columns, or declare the new ones in its table."


class SheetRefused(FileNotTaken):
    """The workbook is no XLSX, is protected, or is built to do harm when it is unpacked."""

    reason = "file_sheet_refused"
    cure = "Have the workbook saved as plain .xlsx and sent again."


class ChecksumWrong(FileNotTaken):
    """The bytes are not those that the manifest tells of."""

    reason = "file_checksum_wrong"
    cure = "Have the file and its manifest sent again."


class CountWrong(FileNotTaken):
    """The manifest tells of another number of rows or hours."""

    reason = "file_count_wrong"
    cure = "Have the file and its manifest sent again."
