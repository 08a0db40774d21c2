//! Sales per day, country, channel and currency.

use polars::prelude::{
    DataFrame, DataType, Expr, JoinArgs, JoinType, LazyFrame, UnionArgs, col, concat, lit,
};
use tarn_core::Result;
use tarn_core::schema::{ColumnType, Field};

use super::{Input, Inputs, Mart, divided, failed, minor_units};

const MONEY: ColumnType = ColumnType::Decimal {
    precision: 18,
    scale: 2,
};

pub(super) const MART: Mart = Mart {
    name: "daily_sales",
    doc: "Sales per UTC day, country, channel and currency. Cancelled orders are not counted, nor are \
          items and refunds of orders that were not accepted. Refunds count on the day of the refund.",
    fields: || {
        vec![
            Field::new("day", ColumnType::Date, true).doc("UTC day of the order, or of the refund"),
            Field::new("country", ColumnType::String, false).doc("Country of the order"),
            Field::new("channel", ColumnType::String, false).doc("Sales channel of the order"),
            Field::new("currency", ColumnType::String, false).doc("Currency of every amount in the row"),
            Field::new("orders", ColumnType::Long, true).doc("Orders that were not cancelled"),
            Field::new("units", ColumnType::Long, true).doc("Items sold"),
            Field::new("gross_sales", MONEY, true).doc("Sum of quantity × unit price"),
            Field::new("discounts", MONEY, true).doc("Discounts given"),
            Field::new("shipping", MONEY, true).doc("Shipping charged"),
            Field::new("refunds", MONEY, true).doc("Refunds paid on the day"),
            Field::new("net_sales", MONEY, true).doc("gross_sales − discounts + shipping − refunds"),
            Field::new("average_order_value", MONEY, false)
                .doc("(gross_sales − discounts + shipping) / orders, rounded half to even; null without orders"),
        ]
    },
    key: &["day", "country", "channel", "currency"],
    inputs: &[
        Input {
            table: "orders",
            columns: &[
                "order_id",
                "order_time",
                "status",
                "country",
                "channel",
                "currency",
                "discount",
                "shipping",
            ],
        },
        Input {
            table: "order_items",
            columns: &["order_id", "quantity", "unit_price", "currency"],
        },
        Input {
            table: "refunds",
            columns: &["order_id", "refunded_at", "amount", "currency"],
        },
    ],
    rows,
};

const MEASURES: [&str; 6] = [
    "orders",
    "units",
    "gross_sales",
    "discounts",
    "shipping",
    "refunds",
];

/// A frame's dimensions and measures; measures that it does not name are zero.
fn facts(frame: LazyFrame, day: Expr, currency: Expr, measures: &[(&str, Expr)]) -> LazyFrame {
    let mut columns = vec![
        day.cast(DataType::Date).alias("day"),
        col("country"),
        col("channel"),
        currency.alias("currency"),
    ];
    for name in MEASURES {
        let value = measures
            .iter()
            .find(|(measure, _)| *measure == name)
            .map_or_else(|| lit(0i64), |(_, value)| value.clone());
        columns.push(value.cast(DataType::Int64).alias(name));
    }
    frame.select(columns)
}

fn rows(inputs: &Inputs) -> Result<DataFrame> {
    let orders = inputs
        .table("orders")?
        .filter(col("status").neq(lit("cancelled")));
    let of_order = |name: &str| -> Result<LazyFrame> {
        let order = orders.clone().select([
            col("order_id"),
            col("order_time"),
            col("country"),
            col("channel"),
        ]);
        Ok(inputs.table(name)?.join(
            order,
            [col("order_id")],
            [col("order_id")],
            JoinArgs::new(JoinType::Inner),
        ))
    };
    let of_orders = facts(
        orders.clone(),
        col("order_time"),
        col("currency"),
        &[
            ("orders", lit(1i64)),
            ("discounts", minor_units("discount").fill_null(lit(0i64))),
            ("shipping", minor_units("shipping").fill_null(lit(0i64))),
        ],
    );
    let of_items = facts(
        of_order("order_items")?,
        col("order_time"),
        col("currency"),
        &[
            ("units", col("quantity")),
            (
                "gross_sales",
                col("quantity").cast(DataType::Int64) * minor_units("unit_price"),
            ),
        ],
    );
    let of_refunds = facts(
        of_order("refunds")?,
        col("refunded_at"),
        col("currency"),
        &[("refunds", minor_units("amount"))],
    );
    let mut frame = concat([of_orders, of_items, of_refunds], UnionArgs::default())
        .map_err(failed)?
        .group_by([col("day"), col("country"), col("channel"), col("currency")])
        .agg(MEASURES.map(|name| col(name).sum()))
        .with_columns([
            (col("gross_sales") - col("discounts") + col("shipping") - col("refunds"))
                .alias("net_sales"),
            (col("gross_sales") - col("discounts") + col("shipping")).alias("charged"),
        ])
        .collect()
        .map_err(failed)?;
    let average = divided(&frame, "charged", "orders", 1, "average_order_value")?;
    frame.with_column(average.into()).map_err(failed)?;
    Ok(frame)
}
