"""From the contracts of the tables to the rows and targets of the joins, and from the joins to the public contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from common.contracts.contract import load
from common.operators.reference import ForeignKey
from common.operators.sides import Side
from common.streams.columns import as_array

How = Literal["left", "inner"]

ADVERTISEMENT = pa.field("advertisementId", pa.int64(), nullable=False)
CAMPAIGN = pa.field("campaignId", pa.int64(), nullable=False)
CUSTOMER = pa.field("customerId", pa.int64(), nullable=False)

PROMOTION: pa.StructType = load("promotions").arrow.field("value").type
CUSTOMERS = Side("customers", PROMOTION.field("customer").type)
CAMPAIGNS = Side("campaigns", PROMOTION.field("campaign").type)
SPONSORED = Side("sponsored_campaigns", pa.struct([PROMOTION.field("campaign"), PROMOTION.field("customer")]))
"""A campaign and its customer: what an advertisement refers to."""
ADVERTISEMENTS = Side("advertisements", pa.struct([PROMOTION.field("name"), PROMOTION.field("type")]))


def sponsorship(how: How) -> ForeignKey:
    """Campaigns, joined with the customers who pay for them."""
    return ForeignKey(CAMPAIGN, CUSTOMER, CAMPAIGNS, CUSTOMERS, how)


def promotion(how: How) -> ForeignKey:
    """Advertisements, joined with their campaigns and the customers of these."""
    return ForeignKey(ADVERTISEMENT, CAMPAIGN, ADVERTISEMENTS, SPONSORED, how)


@dataclass(frozen=True)
class AsRows:
    """Records of a table as the rows of a join.

    Attributes:
        join: The join; each of its row's columns is a field of the records, but for `id`, which is their key.
    """

    join: ForeignKey

    def __call__(self, records: pa.Table) -> pa.Table:
        key, value = as_array(records["key"]), as_array(records["value"])
        references = pc.struct_field(value, self.join.reference.name)
        return self.join.rows(key, references, _with_id(key, value, self.join.row.columns))


def customers_as_targets(records: pa.Table) -> pa.Table:
    """Records of `customer-rows` as targets of campaigns; what is internal of them ends here."""
    key, value = as_array(records["key"]), as_array(records["value"])
    return sponsorship("left").targets(key, _with_id(key, value, CUSTOMERS.columns))


def campaigns_as_targets(joined: pa.Table) -> pa.Table:
    """Campaigns that were joined with their customers as targets of advertisements."""
    campaign, customer = as_array(joined["left"]), as_array(joined["right"])
    sponsored = pa.StructArray.from_arrays(
        [campaign, customer], fields=list(SPONSORED.columns), mask=campaign.is_null()
    )
    return promotion("left").targets(as_array(joined[CAMPAIGN.name]), sponsored)


def promotion_records(joined: pa.Table) -> pa.Table:
    """Advertisements that were joined with their campaigns as records of `promotions`."""
    advertisement, sponsored = as_array(joined["left"]), as_array(joined["right"])
    columns = [pc.struct_field(advertisement, field.name) for field in ADVERTISEMENTS.columns]
    columns += [pc.struct_field(sponsored, field.name) for field in SPONSORED.columns]
    value = pa.StructArray.from_arrays(columns, fields=list(PROMOTION), mask=advertisement.is_null())
    return pa.table([as_array(joined[ADVERTISEMENT.name]), value], schema=load("promotions").arrow)


def _with_id(key: pa.Array, value: pa.StructArray, columns: pa.StructType) -> pa.StructArray:
    """Some fields of records' values, and their key as `id`; null in a tombstone."""
    fields = [key if field.name == "id" else pc.struct_field(value, field.name) for field in columns]
    return pa.StructArray.from_arrays(fields, fields=list(columns), mask=value.is_null())
