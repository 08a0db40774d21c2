//! The shop's database: snapshots of the whole at two times, as SQLite files.

use std::path::Path;

use chrono::DateTime;
use rusqlite::{Connection, Statement, Transaction, params};
use tarn_core::{Error, ErrorKind, Result};

use super::campaigns::CAMPAIGNS;
use super::orders::Order;
use super::output::{part_of, write_error};
use super::shop::Shop;
use super::{DAY, Generated, Kind, Plan, Progress};

const SCHEMA: &str = "
CREATE TABLE customers(
    customer_id INTEGER PRIMARY KEY, email TEXT NOT NULL, name TEXT NOT NULL, country TEXT,
    created_at TEXT, segment TEXT, marketing_consent INTEGER
);
CREATE TABLE products(
    product_id INTEGER PRIMARY KEY, sku TEXT, name TEXT, category TEXT, price_cents INTEGER,
    cost_cents INTEGER, currency TEXT, active INTEGER
);
CREATE TABLE orders(
    order_id INTEGER PRIMARY KEY, customer_id INTEGER, order_ts TEXT, status TEXT, channel TEXT,
    country TEXT, currency TEXT, total_cents INTEGER, discount_cents INTEGER, shipping_cents INTEGER,
    coupon TEXT, campaign_id INTEGER
);
CREATE TABLE order_items(
    item_id INTEGER PRIMARY KEY, order_id INTEGER, product_id INTEGER, quantity INTEGER,
    unit_price_cents INTEGER, currency TEXT
);
CREATE TABLE payments(
    payment_id INTEGER PRIMARY KEY, order_id INTEGER, paid_at TEXT, method TEXT, status TEXT,
    amount TEXT, currency TEXT
);
CREATE TABLE refunds(
    refund_id INTEGER PRIMARY KEY, order_id INTEGER, refunded_at TEXT, amount REAL, currency TEXT,
    reason TEXT
);
";

/// The records that are wrong, besides some customers without a country: a customer without a date, a
/// negative price (of a product that is not sold), two orders in a state that does not exist, two
/// payments that are not numbers.
const CUSTOMER_WITHOUT_DATE: i64 = 8;
const PRODUCT_WITH_NEGATIVE_PRICE: i64 = 31;
const ORDERS_IN_LIMBO: [i64; 2] = [10_041, 10_112];
const PAYMENTS_WITHOUT_NUMBER: [(i64, &str); 2] = [(60, "n/a"), (90, "12,50")];

fn database_error(error: rusqlite::Error, path: &Path) -> Error {
    Error::new(
        ErrorKind::Storage,
        format!("cannot write {}", path.display()),
    )
    .with_source(error)
}

/// `YYYY-MM-DD HH:MM:SS`, UTC.
fn text_time(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0)
        .unwrap_or_default()
        .format("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// Cents as decimal text.
fn decimal(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Writes `shop/database/shop-<date>.sqlite`: the state at the end of that day, in the middle of
/// the period and at its end.
pub(super) fn write(plan: &Plan, shop: &Shop, progress: Progress<'_>) -> Result<Vec<Generated>> {
    let end = plan.midnight(plan.days - 1) + DAY;
    let mut files = Vec::new();
    let mut rows = 0;
    for time in shop.first_snapshot.into_iter().chain([end]) {
        let day = DateTime::from_timestamp(time - DAY, 0)
            .unwrap_or_default()
            .format("%Y-%m-%d");
        let path = plan.out.join(format!("shop/database/shop-{day}.sqlite"));
        let part = part_of(&path)?;
        if part.exists() {
            std::fs::remove_file(&part).map_err(|error| write_error(error, &part))?;
        }
        let snapshot = Snapshot {
            shop,
            time,
            later: time == end && plan.days > 1,
        };
        let (written, defects) = snapshot
            .write(&part)
            .map_err(|error| database_error(error, &path))?;
        std::fs::rename(&part, &path).map_err(|error| write_error(error, &path))?;
        rows += written;
        progress(Kind::Database.as_str(), rows);
        files.push(Generated {
            path,
            kind: Kind::Database,
            rows: written,
            defects,
            duplicates: 0,
        });
    }
    Ok(files)
}

/// The state of the shop at a time.
struct Snapshot<'a> {
    shop: &'a Shop,
    time: i64,
    /// Whether this is the second one.
    later: bool,
}

impl Snapshot<'_> {
    /// Returns the rows of all tables, and how many of them are wrong.
    fn write(&self, path: &Path) -> rusqlite::Result<(u64, u64)> {
        let mut connection = Connection::open(path)?;
        // An unfinished file is written again, so nothing needs to survive a crash.
        connection.execute_batch(
            "PRAGMA page_size = 4096; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;",
        )?;
        let transaction = connection.transaction()?;
        transaction.execute_batch(SCHEMA)?;
        let mut rows = 0;
        let mut defects = 0;
        for (written, wrong) in [
            self.customers(&transaction)?,
            self.products(&transaction)?,
            self.orders(&transaction)?,
        ] {
            rows += written;
            defects += wrong;
        }
        transaction.commit()?;
        connection.close().map_err(|(_, error)| error)?;
        Ok((rows, defects))
    }

    fn customers(&self, transaction: &Transaction<'_>) -> rusqlite::Result<(u64, u64)> {
        let mut insert =
            transaction.prepare("INSERT INTO customers VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
        let (mut rows, mut defects) = (0, 0);
        for customer in self
            .shop
            .customers
            .iter()
            .filter(|customer| customer.created_at < self.time)
        {
            let dated = customer.id != CUSTOMER_WITHOUT_DATE;
            insert.execute(params![
                customer.id,
                customer.email,
                customer.name,
                customer.country_known.then_some(customer.country.code),
                dated.then(|| text_time(customer.created_at)),
                if self.later {
                    customer.later_segment
                } else {
                    customer.segment
                },
                if self.later {
                    customer.later_consent
                } else {
                    customer.consent
                },
            ])?;
            rows += 1;
            defects += u64::from(!dated || !customer.country_known);
        }
        Ok((rows, defects))
    }

    fn products(&self, transaction: &Transaction<'_>) -> rusqlite::Result<(u64, u64)> {
        let mut insert = transaction
            .prepare("INSERT INTO products VALUES(?1, ?2, ?3, ?4, ?5, ?6, 'EUR', ?7)")?;
        let (mut rows, mut defects) = (0, 0);
        for product in self
            .shop
            .products
            .iter()
            .filter(|product| !(self.later && product.removed_later))
        {
            let negative = product.id == PRODUCT_WITH_NEGATIVE_PRICE;
            let price = if self.later {
                product.later_price_cents
            } else {
                product.price_cents
            };
            insert.execute(params![
                product.id,
                product.sku,
                product.name,
                product.category,
                if negative { -price } else { price },
                product.cost_cents,
                product.active,
            ])?;
            rows += 1;
            defects += u64::from(negative);
        }
        Ok((rows, defects))
    }

    fn orders(&self, transaction: &Transaction<'_>) -> rusqlite::Result<(u64, u64)> {
        let mut insert_order = transaction.prepare(
            "INSERT INTO orders VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?;
        let mut insert_item =
            transaction.prepare("INSERT INTO order_items VALUES(?1, ?2, ?3, ?4, ?5, ?6)")?;
        let mut insert_payment =
            transaction.prepare("INSERT INTO payments VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
        let mut insert_refund =
            transaction.prepare("INSERT INTO refunds VALUES(?1, ?2, ?3, ?4, ?5, ?6)")?;
        let (mut rows, mut defects) = (0, 0);
        for order in self.shop.orders.iter().filter(|order| order.ts < self.time) {
            let customer = &self.shop.customers[order.customer];
            let currency = self.currency(order);
            let limbo = ORDERS_IN_LIMBO.contains(&order.id);
            insert_order.execute(params![
                order.id,
                customer.id,
                text_time(order.ts),
                if limbo {
                    "on_hold"
                } else {
                    order.status_at(self.time - 1)
                },
                order.channel,
                customer.country.code,
                currency,
                order.total_cents(),
                order.discount_cents,
                order.shipping_cents,
                order.coupon,
                order.campaign.map(|campaign| CAMPAIGNS[campaign].id),
            ])?;
            rows += 1;
            defects += u64::from(limbo);
            for item in &order.items {
                let product = self.shop.products[item.product].id;
                insert_item.execute(params![
                    item.id,
                    order.id,
                    product,
                    item.quantity,
                    item.unit_price_cents,
                    currency
                ])?;
                rows += 1;
            }
            let (paid, without_number) = self.payments(&mut insert_payment, order)?;
            rows += paid + self.refund(&mut insert_refund, order)?;
            defects += without_number;
        }
        Ok((rows, defects))
    }

    /// Inserts the payments of an order; returns how many, and how many of them have an amount that is
    /// not a number.
    fn payments(&self, insert: &mut Statement<'_>, order: &Order) -> rusqlite::Result<(u64, u64)> {
        let (mut rows, mut defects) = (0, 0);
        for payment in order
            .payments
            .iter()
            .filter(|payment| payment.paid_at < self.time)
        {
            let fault = PAYMENTS_WITHOUT_NUMBER
                .iter()
                .find(|(id, _)| *id == payment.id);
            insert.execute(params![
                payment.id,
                order.id,
                text_time(payment.paid_at),
                payment.method,
                payment.status_at(self.time - 1),
                fault.map_or_else(
                    || decimal(order.total_cents()),
                    |(_, text)| (*text).to_owned()
                ),
                self.currency(order),
            ])?;
            rows += 1;
            defects += u64::from(fault.is_some());
        }
        Ok((rows, defects))
    }

    /// Inserts the refund of an order, if there is one by then; returns how many.
    fn refund(&self, insert: &mut Statement<'_>, order: &Order) -> rusqlite::Result<u64> {
        if let Some(refund) = order
            .refund
            .as_ref()
            .filter(|refund| refund.refunded_at < self.time)
        {
            // Hundredths are not exact in binary; the nearest number is what such a column holds.
            let amount = refund.cents as f64 / 100.0;
            insert.execute(params![
                refund.id,
                order.id,
                text_time(refund.refunded_at),
                amount,
                self.currency(order),
                refund.reason
            ])?;
            return Ok(1);
        }
        Ok(0)
    }

    fn currency(&self, order: &Order) -> &'static str {
        self.shop.customers[order.customer].country.currency
    }
}
