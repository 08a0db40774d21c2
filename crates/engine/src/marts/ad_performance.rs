//! What advertising did and cost, per day and campaign.

use polars::prelude::{DataFrame, DataType, Expr, col, lit};
use tarn_core::Result;
use tarn_core::schema::{ColumnType, Field};

use super::{Input, Inputs, Mart, divided, failed, minor_units, rate};

const MONEY: ColumnType = ColumnType::Decimal {
    precision: 18,
    scale: 6,
};

pub(super) const MART: Mart = Mart {
    name: "ad_performance",
    doc: "Advertising per UTC day of the event, platform, campaign and currency.",
    fields: || {
        vec![
            Field::new("day", ColumnType::Date, true).doc("UTC day of the event"),
            Field::new("platform", ColumnType::String, false).doc("Advertising platform"),
            Field::new("campaign_id", ColumnType::Long, false).doc("Campaign"),
            Field::new("currency", ColumnType::String, false).doc("Currency of every amount in the row"),
            Field::new("impressions", ColumnType::Long, true).doc("Ads shown"),
            Field::new("clicks", ColumnType::Long, true).doc("Ads clicked"),
            Field::new("conversions", ColumnType::Long, true).doc("Orders attributed to an ad"),
            Field::new("spend", MONEY, true).doc("Sum of the cost of all events"),
            Field::new("conversion_value", MONEY, true).doc("Value of the orders"),
            Field::new("ctr", ColumnType::Double, false)
                .doc("Click-through rate: clicks / impressions; null without impressions"),
            Field::new("cpc", MONEY, false)
                .doc("Cost per click: spend / clicks, rounded half to even; null without clicks"),
            Field::new("cpa", MONEY, false)
                .doc("Cost per acquisition: spend / conversions, rounded half to even; null without conversions"),
            Field::new("roas", ColumnType::Double, false)
                .doc("Return on ad spend: conversion_value / spend; null without spend"),
        ]
    },
    key: &["day", "platform", "campaign_id", "currency"],
    inputs: &[Input {
        table: "ad_events",
        columns: &[
            "event_time",
            "event_type",
            "platform",
            "campaign_id",
            "currency",
            "cost",
            "conversion_value",
        ],
    }],
    rows,
};

fn of_type(event_type: &str) -> Expr {
    col("event_type")
        .eq(lit(event_type))
        .cast(DataType::Int64)
        .sum()
}

fn rows(inputs: &Inputs) -> Result<DataFrame> {
    let mut frame = inputs
        .table("ad_events")?
        .with_column(col("event_time").cast(DataType::Date).alias("day"))
        .group_by([
            col("day"),
            col("platform"),
            col("campaign_id"),
            col("currency"),
        ])
        .agg([
            of_type("impression").alias("impressions"),
            of_type("click").alias("clicks"),
            of_type("conversion").alias("conversions"),
            minor_units("cost")
                .fill_null(lit(0i64))
                .sum()
                .alias("spend"),
            minor_units("conversion_value")
                .fill_null(lit(0i64))
                .sum()
                .alias("conversion_value"),
        ])
        .collect()
        .map_err(failed)?;
    for series in [
        rate(&frame, "clicks", "impressions", "ctr")?,
        divided(&frame, "spend", "clicks", 1, "cpc")?,
        divided(&frame, "spend", "conversions", 1, "cpa")?,
        rate(&frame, "conversion_value", "spend", "roas")?,
    ] {
        frame.with_column(series.into()).map_err(failed)?;
    }
    Ok(frame)
}
