"""What the org says about its objects and fields."""

from __future__ import annotations

from typing import Any

from accord.sandbox.salesforce.fields import TEXT_TYPES, Field
from accord.sandbox.salesforce.schema import Schema, SObject

Json = dict[str, Any]


def described_globally(schema: Schema, prefix: str) -> Json:
    """`GET sobjects`."""
    return {
        "encoding": "UTF-8",
        "maxBatchSize": 200,
        "sobjects": [_brief(each, prefix) for each in schema.objects.values()],
    }


def described(schema: Schema, sobject: SObject, prefix: str) -> Json:
    """`GET sobjects/{T}/describe`."""
    children = [
        {"childSObject": owner, "field": name, "relationshipName": _cased(schema, owner, name),
         "cascadeDelete": schema.objects[owner].fields[name].cascade}
        for owner, name in sobject.children.values()
    ]  # fmt: skip
    return {
        **_brief(sobject, prefix),
        "childRelationships": children,
        "fields": [_field(each) for each in sobject.fields.values()],
        "recordTypeInfos": [],
    }


def _cased(schema: Schema, owner: str, name: str) -> str | None:
    return schema.objects[owner].fields[name].children


def _brief(sobject: SObject, prefix: str) -> Json:
    url = f"{prefix}/sobjects/{sobject.name}"
    writable = not sobject.readonly
    return {
        "name": sobject.name,
        "label": sobject.label,
        "labelPlural": sobject.plural,
        "keyPrefix": sobject.prefix,
        "custom": sobject.name.endswith("__c"),
        "createable": writable,
        "updateable": writable,
        "deletable": writable,
        "undeletable": writable,
        "queryable": True,
        "retrieveable": True,
        "searchable": False,
        "triggerable": writable,
        "mergeable": sobject.name in ("Account", "Contact"),
        "urls": {
            "sobject": url,
            "describe": f"{url}/describe",
            "rowTemplate": f"{url}/{{ID}}",
        },
    }


def _field(field: Field) -> Json:
    number = field.type in ("currency", "double", "percent")
    return {
        "name": field.name,
        "label": field.label,
        "type": field.type,
        "length": field.length if field.type in TEXT_TYPES else 18 if field.type in ("id", "reference") else 0,
        "precision": field.precision if number else 0,
        "scale": field.scale if number else 0,
        "digits": field.precision if field.type == "int" else 0,
        "nillable": not field.required and field.type not in ("boolean", "id"),
        "defaultedOnCreate": field.default is not None or field.type == "boolean",
        "defaultValue": field.default,
        "createable": field.createable,
        "updateable": field.updateable,
        "custom": field.custom,
        "externalId": field.external_id,
        "idLookup": field.external_id or field.name in ("Id", "Name") or field.indexed,
        "unique": field.unique,
        "caseSensitive": field.case_sensitive,
        "calculated": False,
        "autoNumber": False,
        "filterable": field.type != "textarea",
        "sortable": field.type != "textarea",
        "groupable": field.type not in ("textarea", "currency", "double", "percent"),
        "restrictedPicklist": field.restricted,
        "picklistValues": [
            {"active": True, "defaultValue": each == field.default, "label": each, "value": each, "validFor": None}
            for each in field.values
        ],
        "referenceTo": list(field.refers_to),
        "relationshipName": field.relationship,
    }
