//! What each product sold and earned.

use polars::prelude::{DataFrame, DataType, JoinArgs, JoinType, col, lit};
use tarn_core::Result;
use tarn_core::schema::{ColumnType, Field};

use super::{Input, Inputs, Mart, failed, minor_units, rate};

const MONEY: ColumnType = ColumnType::Decimal {
    precision: 18,
    scale: 2,
};

pub(super) const MART: Mart = Mart {
    name: "product_performance",
    doc: "Sales of each product per currency over all time. Items of cancelled orders, and of orders \
          that were not accepted, are not counted.",
    fields: || {
        vec![
            Field::new("product_id", ColumnType::Long, true).doc("Product"),
            Field::new("sku", ColumnType::String, false)
                .doc("Stock keeping unit; null where the product is unknown"),
            Field::new("name", ColumnType::String, false).doc("Name of the product"),
            Field::new("category", ColumnType::String, false).doc("Category of the product"),
            Field::new("currency", ColumnType::String, false)
                .doc("Currency of every amount in the row"),
            Field::new("orders", ColumnType::Long, true).doc("Orders with the product"),
            Field::new("units", ColumnType::Long, true).doc("Items sold"),
            Field::new("revenue", MONEY, true).doc("Sum of quantity × unit price"),
            Field::new("cost", MONEY, false).doc(
                "Sum of quantity × cost; null where the cost is unknown or in another currency",
            ),
            Field::new("margin", MONEY, false).doc("revenue − cost"),
            Field::new("margin_rate", ColumnType::Double, false)
                .doc("margin / revenue; null without revenue or cost"),
            Field::new("first_sold_on", ColumnType::Date, true).doc("UTC day of the first sale"),
            Field::new("last_sold_on", ColumnType::Date, true).doc("UTC day of the last sale"),
        ]
    },
    key: &["product_id", "currency"],
    inputs: &[
        Input {
            table: "orders",
            columns: &["order_id", "order_time", "status"],
        },
        Input {
            table: "order_items",
            columns: &[
                "order_id",
                "product_id",
                "quantity",
                "unit_price",
                "currency",
            ],
        },
        Input {
            table: "products",
            columns: &["product_id", "sku", "name", "category", "cost", "currency"],
        },
    ],
    rows,
};

fn rows(inputs: &Inputs) -> Result<DataFrame> {
    let orders = inputs
        .table("orders")?
        .filter(col("status").neq(lit("cancelled")))
        .select([
            col("order_id"),
            col("order_time").cast(DataType::Date).alias("day"),
        ]);
    let products = inputs.table("products")?.select([
        col("product_id"),
        col("sku"),
        col("name"),
        col("category"),
        minor_units("cost").alias("unit_cost"),
        col("currency").alias("cost_currency"),
    ]);
    let sold = inputs
        .table("order_items")?
        .join(
            orders,
            [col("order_id")],
            [col("order_id")],
            JoinArgs::new(JoinType::Inner),
        )
        .with_column(
            (col("quantity").cast(DataType::Int64) * minor_units("unit_price")).alias("revenue"),
        )
        .group_by([col("product_id"), col("currency")])
        .agg([
            col("order_id")
                .n_unique()
                .cast(DataType::Int64)
                .alias("orders"),
            col("quantity").cast(DataType::Int64).sum().alias("units"),
            col("revenue").sum(),
            col("day").min().alias("first_sold_on"),
            col("day").max().alias("last_sold_on"),
        ]);
    let same_currency = col("cost_currency").eq(col("currency"));
    let mut frame = sold
        .join(
            products,
            [col("product_id")],
            [col("product_id")],
            JoinArgs::new(JoinType::Left),
        )
        .with_column(
            polars::prelude::when(same_currency)
                .then(col("units") * col("unit_cost"))
                .otherwise(lit(polars::prelude::NULL))
                .alias("cost"),
        )
        .with_column((col("revenue") - col("cost")).alias("margin"))
        .collect()
        .map_err(failed)?;
    let margin_rate = rate(&frame, "margin", "revenue", "margin_rate")?;
    frame.with_column(margin_rate.into()).map_err(failed)?;
    Ok(frame)
}
