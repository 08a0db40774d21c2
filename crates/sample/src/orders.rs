//! Orders with their items, payments and refunds, and the times at which their state changes.

use super::campaigns::CAMPAIGNS;
use super::dice::{Dice, Purpose, split};
use super::shop::Shop;
use super::{Plan, moment};

/// An order. Money is in hundredths of its currency.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) id: i64,
    /// Index of its customer.
    pub(super) customer: usize,
    pub(super) ts: i64,
    pub(super) channel: &'static str,
    pub(super) items: Vec<Item>,
    pub(super) discount_cents: i64,
    pub(super) shipping_cents: i64,
    pub(super) coupon: Option<&'static str>,
    /// Index of the campaign that led to it.
    pub(super) campaign: Option<usize>,
    pub(super) payments: Vec<Payment>,
    pub(super) refund: Option<Refund>,
    /// Each state with the time from which it holds, in the order of time.
    states: Vec<(i64, &'static str)>,
}

#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: i64,
    /// Index of its product.
    pub(super) product: usize,
    pub(super) quantity: i64,
    pub(super) unit_price_cents: i64,
}

#[derive(Debug)]
pub(super) struct Payment {
    pub(super) id: i64,
    pub(super) paid_at: i64,
    pub(super) method: &'static str,
    /// When the money was taken; None where the payment failed.
    pub(super) captured_at: Option<i64>,
}

#[derive(Debug)]
pub(super) struct Refund {
    pub(super) id: i64,
    pub(super) refunded_at: i64,
    pub(super) cents: i64,
    pub(super) reason: Option<&'static str>,
}

impl Order {
    pub(super) fn subtotal_cents(&self) -> i64 {
        self.items
            .iter()
            .map(|item| item.quantity * item.unit_price_cents)
            .sum()
    }

    pub(super) fn total_cents(&self) -> i64 {
        self.subtotal_cents() - self.discount_cents + self.shipping_cents
    }

    /// The state at a time that is not before the order's.
    pub(super) fn status_at(&self, time: i64) -> &'static str {
        self.states
            .iter()
            .rev()
            .find(|(since, _)| *since <= time)
            .map_or("placed", |(_, state)| state)
    }
}

impl Payment {
    pub(super) fn status_at(&self, time: i64) -> &'static str {
        match self.captured_at {
            None => "failed",
            Some(captured_at) if captured_at <= time => "captured",
            Some(_) => "authorized",
        }
    }
}

/// What happens to an order that is delivered, cancelled, refunded, or never paid.
const ENDINGS: [u64; 4] = [850, 60, 65, 25];

/// A coupon and the per cent it takes off; one of 0 takes off the shipping.
const COUPONS: [(&str, i64); 4] = [
    ("WELCOME10", 10),
    ("SPRING15", 15),
    ("VIP20", 20),
    ("FREESHIP", 0),
];

const METHODS: [&str; 4] = ["card", "paypal", "apple_pay", "klarna"];

const REASONS: [Option<&str>; 5] = [
    Some("damaged"),
    Some("wrong_item"),
    Some("late"),
    Some("changed_mind"),
    None,
];

/// The orders of the period, in the order of time. Their ids, and those of their items, count up.
pub(super) fn orders(plan: &Plan, shop: &Shop) -> Vec<Order> {
    let mut dice = Dice::new(plan.seed, Purpose::Orders);
    let mut orders = Vec::new();
    let (mut order_id, mut item_id, mut payment_id, mut refund_id) = (10_000, 0, 0, 0);
    for (day, count) in (0..plan.days).zip(split(plan.count(4_000), &plan.day_weights())) {
        let midnight = plan.midnight(day);
        let mut times: Vec<i64> = (0..count).map(|_| moment(&mut dice, midnight)).collect();
        times.sort_unstable();
        for ts in times {
            order_id += 1;
            let mut order = order(&mut dice, shop, order_id, ts);
            for item in &mut order.items {
                item_id += 1;
                item.id = item_id;
            }
            for payment in &mut order.payments {
                payment_id += 1;
                payment.id = payment_id;
            }
            if let Some(refund) = &mut order.refund {
                refund_id += 1;
                refund.id = refund_id;
            }
            orders.push(order);
        }
    }
    orders
}

fn order(dice: &mut Dice, shop: &Shop, id: i64, ts: i64) -> Order {
    // A customer who has registered by then; the oldest ones buy more often.
    let known = shop
        .customers
        .partition_point(|customer| customer.created_at <= ts)
        .max(1);
    let customer = if dice.chance(400) {
        dice.skewed_index(known)
    } else {
        dice.index(known)
    };
    let country = shop.customers[customer].country;
    let channel = ["web", "app", "marketplace", "store"][dice.weighted(&[46, 32, 14, 8])];

    let later = shop.first_snapshot.is_some_and(|snapshot| ts >= snapshot);
    let mut items: Vec<Item> = Vec::new();
    for _ in 0..1 + dice.weighted(&[26, 29, 22, 14, 9]) {
        let product = shop.sold[dice.skewed_index(shop.sold.len())];
        if items.iter().any(|item| item.product == product) {
            continue;
        }
        let Some(found) = shop.products.get(product) else {
            continue;
        };
        let euro_cents = if later {
            found.later_price_cents
        } else {
            found.price_cents
        };
        let quantity = 1 + dice.weighted(&[78, 16, 6]) as i64;
        items.push(Item {
            id: 0,
            product,
            quantity,
            unit_price_cents: country.price(euro_cents),
        });
    }

    let subtotal: i64 = items
        .iter()
        .map(|item| item.quantity * item.unit_price_cents)
        .sum();
    let coupon = dice.chance(150).then(|| *dice.pick(&COUPONS));
    let discount_cents = coupon.map_or(0, |(_, percent)| subtotal * percent / 100);
    let free = channel == "store" || coupon.is_some_and(|(_, percent)| percent == 0);
    let shipping_cents = if free || subtotal - discount_cents >= country.price(5_000) {
        0
    } else {
        country.price(490)
    };

    let online = channel == "web" || channel == "app";
    let campaign = if online && dice.chance(200) {
        campaign(dice, country.currency)
    } else {
        None
    };
    let mut order = Order {
        id,
        customer,
        ts,
        channel,
        items,
        discount_cents,
        shipping_cents,
        coupon: coupon.map(|(code, _)| code),
        campaign,
        payments: Vec::new(),
        refund: None,
        states: vec![(ts, "placed")],
    };
    settle(dice, &mut order);
    order
}

/// One of the campaigns that are paid for in `currency`, where there are any.
fn campaign(dice: &mut Dice, currency: &str) -> Option<usize> {
    let weights = CAMPAIGNS.map(|campaign| {
        if campaign.currency == currency {
            campaign.weight
        } else {
            0
        }
    });
    (weights.iter().sum::<u64>() > 0).then(|| dice.weighted(&weights))
}

/// Gives the order its payments, its refund and its states.
fn settle(dice: &mut Dice, order: &mut Order) {
    let hours = |dice: &mut Dice, low: i64, high: i64| dice.between(low * 3_600, high * 3_600);
    let method = METHODS[dice.weighted(&[45, 28, 12, 15])];
    let attempt = |paid_at, captured_at| Payment {
        id: 0,
        paid_at,
        method,
        captured_at,
    };
    let first = order.ts + dice.between(4, 180);
    let ending = dice.weighted(&ENDINGS);
    if order.channel == "store" {
        order.payments.push(attempt(order.ts, Some(order.ts)));
        order.states.push((order.ts, "delivered"));
        return;
    }
    if ending == 3 {
        order.payments.push(attempt(first, None));
        order
            .states
            .push((first + hours(dice, 20, 30), "cancelled"));
        return;
    }
    let paid_at = if dice.chance(40) {
        order.payments.push(attempt(first, None));
        first + dice.between(30, 400)
    } else {
        first
    };
    order.states.push((paid_at, "paid"));
    if ending == 1 {
        let cancelled_at = paid_at + hours(dice, 1, 8);
        // Cancelled before the money was taken.
        order.payments.push(attempt(paid_at, Some(i64::MAX)));
        order.states.push((cancelled_at, "cancelled"));
        return;
    }
    let shipped_at = paid_at + hours(dice, 6, 48);
    order.payments.push(attempt(paid_at, Some(shipped_at)));
    let delivered_at = shipped_at + hours(dice, 20, 96);
    order.states.push((shipped_at, "shipped"));
    order.states.push((delivered_at, "delivered"));
    if ending == 2 {
        let refunded_at = delivered_at + hours(dice, 12, 120);
        let total = order.total_cents();
        let cents = if dice.chance(600) {
            total
        } else {
            total * dice.between(20, 80) / 100
        };
        order.states.push((refunded_at, "refunded"));
        order.refund = Some(Refund {
            id: 0,
            refunded_at,
            cents,
            reason: *dice.pick(&REASONS),
        });
    }
}
