"""The files of a typical old time system in a German-speaking office: the table to start from. Pure data."""

from __future__ import annotations

from accord.connectors.timefiles.mapping import Column, Sample, TimeFile

LEGACY = TimeFile(
    source="legacy-time",
    key=("key",),
    days=("D.M.YYYY", "D.M.YY"),
    pivot=68,
    locale="de",
    decimal=",",
    grouping=".",
    total_row="Summe",
    ignored=("Kostenstelle",),
    columns=(
        Column(field="key", headings=("Beleg", "Beleg-Nr.", "Entry"), needed=True),
        Column(field="worker", headings=("Mitarbeiter", "Person", "Employee"), needed=True),
        Column(field="worked_on", headings=("Datum", "Tag", "Date"), needed=True),
        Column(field="hours", headings=("Stunden", "Std.", "Hours"), needed=True),
        Column(field="project", headings=("Projekt", "Project"), needed=True),
        Column(field="task", headings=("Tätigkeit", "Task"), optional=True),
        Column(field="role", headings=("Rolle", "Role"), optional=True),
        Column(field="status", headings=("Status",), needed=True, words={
            "erfasst": "submitted", "freigegeben": "approved", "abgelehnt": "rejected", "zurückgerufen": "recalled",
            "storniert": "deleted", "submitted": "submitted", "approved": "approved",
        }),
        Column(field="billable", headings=("Fakturierbar", "Billable"), optional=True,
               words={"ja": "yes", "nein": "no", "yes": "yes", "no": "no"}),
        Column(field="note", headings=("Bemerkung", "Note"), optional=True),
        Column(field="approved_on", headings=("Freigabe am", "Approved on"), optional=True),
        Column(field="approver", headings=("Freigabe durch", "Approved by"), optional=True),
    ),
    samples=(
        Sample(
            cells={"Beleg": "4711", "Mitarbeiter": "Jörg Müßig", "Datum": "2.3.26", "Stunden": "7,5", "Projekt": "P-1",
                   "Status": "Freigegeben", "Freigabe am": "03.03.2026", "Freigabe durch": "Eva Groß"},
            gives={"source_key": "4711", "worker": "Jörg Müßig", "worked_on": "2026-03-02", "quantity": "7.5",
                   "status": "approved", "approved_at": "2026-03-03T00:00:00+00:00", "approver": "Eva Groß",
                   "billable": "True"},
        ),
        Sample(
            cells={"Beleg": "4712", "Mitarbeiter": "Eva Groß", "Datum": "31.12.69", "Stunden": "0:45", "Projekt": "P-1",
                   "Status": "erfasst", "Fakturierbar": "nein"},
            gives={"worked_on": "1969-12-31", "quantity": "0.75", "status": "submitted", "billable": "False"},
        ),
        Sample(
            cells={"Beleg": "4713", "Mitarbeiter": "Eva Groß", "Datum": "30.2.26", "Stunden": "8", "Projekt": "P-1",
                   "Status": "freigegeben"},
            reason="row_unreadable", says="no day of the calendar",
        ),
        Sample(
            cells={"Beleg": "4714", "Mitarbeiter": "Eva Groß", "Datum": "2.3.26", "Stunden": "7.5", "Projekt": "P-1",
                   "Status": "freigegeben"},
            reason="row_unreadable", says="is not a number written with ','",
        ),
        Sample(
            cells={"Beleg": "4715", "Mitarbeiter": "Eva Groß", "Datum": "2.3.26", "Stunden": "75", "Projekt": "P-1",
                   "Status": "freigegeben"},
            reason="hours_not_believed", says="75 h on one day",
        ),
        Sample(
            cells={"Beleg": "4716", "Mitarbeiter": "Eva Groß", "Datum": "2.3.26", "Stunden": "8", "Projekt": "P-1",
                   "Status": "vielleicht"},
            reason="row_unreadable", says="is none of",
        ),
    ),
)  # fmt: skip
