//! Ad events as their producers send them: JSON lines in the order of arrival.

use std::collections::BTreeMap;
use std::fmt::Write;

use tarn_core::Result;
use uuid::Uuid;

use super::campaigns::{ADS_PER_CAMPAIGN, CAMPAIGNS, Campaign};
use super::dice::{Dice, Purpose, split};
use super::orders::Order;
use super::output::Output;
use super::shop::{COUNTRIES, Shop};
use super::{DAY, Generated, Kind, Plan, Progress, moment};

/// Events per thousand that arrive days after they happened.
const LATE: u64 = 12;
/// Events per thousand that arrive twice.
const REPEATED: u64 = 10;
/// One event in this many is sent in a form that cannot be read.
const EVENTS_PER_FAULT: u64 = 500;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Impression,
    Click,
    Conversion,
    Spend,
}

impl What {
    fn as_str(self) -> &'static str {
        match self {
            What::Impression => "impression",
            What::Click => "click",
            What::Conversion => "conversion",
            What::Spend => "spend",
        }
    }
}

/// Who saw an ad, and where.
#[derive(Debug, Clone, Copy)]
struct Viewer {
    user: i64,
    session: u64,
    ad: i64,
    device: &'static str,
    placement: &'static str,
    country: &'static str,
    /// Ten-thousandths of the campaign's currency.
    bid: u64,
}

/// An event. It costs something only where it is [`What::Spend`], so that nothing is counted twice.
#[derive(Debug, Clone, Copy)]
struct Event {
    id: Uuid,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    ts: i64,
    what: What,
    campaign: &'static Campaign,
    viewer: Option<Viewer>,
    cost_micros: i64,
    /// The order and its value in millionths of its currency.
    order: Option<(i64, i64)>,
}

/// An event on its way.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    at: i64,
    event: Event,
    fault: Option<Fault>,
    repeated: bool,
}

/// What makes an event useless.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The line ends in the middle.
    CutOff,
    UnknownType,
    NegativeCost,
    NoId,
}

const FAULTS: [Fault; 4] = [
    Fault::CutOff,
    Fault::UnknownType,
    Fault::NegativeCost,
    Fault::NoId,
];

fn optional(line: &mut String, name: &str, value: Option<impl std::fmt::Display>) {
    // Writing to a string cannot fail.
    let written = match value {
        Some(value) => write!(line, ",\"{name}\":{value}"),
        None => write!(line, ",\"{name}\":null"),
    };
    debug_assert!(written.is_ok());
}

impl Arrival {
    /// The event as a line of JSON. All of its text is plain ASCII that needs no escapes.
    fn line(&self) -> String {
        let Event {
            id,
            ts,
            what,
            campaign,
            viewer,
            cost_micros,
            order,
        } = self.event;
        let kind = if matches!(self.fault, Some(Fault::UnknownType)) {
            "view_through"
        } else {
            what.as_str()
        };
        let cost = if matches!(self.fault, Some(Fault::NegativeCost)) {
            -cost_micros - 1_500_000
        } else {
            cost_micros
        };
        let quoted = |text: &str| format!("\"{text}\"");
        let mut line = String::with_capacity(400);
        line.push_str("{\"event_id\":");
        line.push_str(&if matches!(self.fault, Some(Fault::NoId)) {
            "null".to_owned()
        } else {
            quoted(&id.to_string())
        });
        optional(&mut line, "event_ts", Some(ts));
        optional(&mut line, "event_type", Some(quoted(kind)));
        optional(&mut line, "platform", Some(quoted(campaign.platform)));
        optional(&mut line, "campaign_id", Some(campaign.id));
        optional(&mut line, "ad_id", viewer.map(|viewer| viewer.ad));
        optional(&mut line, "user_id", viewer.map(|viewer| viewer.user));
        optional(
            &mut line,
            "device",
            viewer.map(|viewer| quoted(viewer.device)),
        );
        optional(
            &mut line,
            "placement",
            viewer.map(|viewer| quoted(viewer.placement)),
        );
        optional(
            &mut line,
            "country",
            viewer.map(|viewer| quoted(viewer.country)),
        );
        optional(&mut line, "cost_micros", Some(cost));
        optional(&mut line, "currency", Some(quoted(campaign.currency)));
        optional(
            &mut line,
            "bid",
            viewer.map(|viewer| format!("{}.{:04}", viewer.bid / 10_000, viewer.bid % 10_000)),
        );
        optional(&mut line, "order_id", order.map(|(id, _)| id));
        optional(
            &mut line,
            "session_id",
            viewer.map(|viewer| quoted(&format!("s{:012x}", viewer.session))),
        );
        optional(&mut line, "value_micros", order.map(|(_, value)| value));
        line.push('}');
        if matches!(self.fault, Some(Fault::CutOff)) {
            line.truncate(line.len() * 2 / 3);
        }
        line
    }
}

/// Writes `ads/events/events-<date>.ndjson`, one file per day of arrival.
pub(super) fn write(plan: &Plan, shop: &Shop, progress: Progress<'_>) -> Result<Vec<Generated>> {
    let mut dice = Dice::new(plan.seed, Purpose::Ads);
    // Events that arrive on a later day than they happened on.
    let mut later: BTreeMap<u32, Vec<Arrival>> = BTreeMap::new();
    let mut files = Vec::new();
    let mut total = 0;
    for (day, target) in (0..plan.days).zip(split(plan.count(20_000), &plan.day_weights())) {
        let midnight = plan.midnight(day);
        let events = events_of_day(&mut dice, shop, midnight, target);
        let mut arrivals = later.remove(&day).unwrap_or_default();
        let faults = (events.len() as u64 / EVENTS_PER_FAULT).max(1);
        for _ in 0..faults {
            // A useless event is one of its own: the others stay what they are.
            let event = Event {
                id: dice.uuid(),
                ..*dice.pick(&events)
            };
            arrivals.push(Arrival {
                at: event.ts + 400,
                event,
                fault: Some(*dice.pick(&FAULTS)),
                repeated: false,
            });
        }
        for event in events {
            let mut send = |dice: &mut Dice, days: i64, repeated: bool| {
                let at = event.ts + days * DAY * 1_000 + dice.between(20, 4_000);
                let arrival = Arrival {
                    at,
                    event,
                    fault: None,
                    repeated,
                };
                // Events that would arrive after the last day arrive last on it.
                let arrives = (day + days as u32).min(plan.days - 1);
                if arrives == day {
                    arrivals.push(arrival)
                } else {
                    later.entry(arrives).or_default().push(arrival)
                }
            };
            let days = if dice.chance(LATE) {
                dice.between(1, 5)
            } else {
                0
            };
            send(&mut dice, days, false);
            if dice.chance(REPEATED) {
                let again = if dice.chance(200) { days + 1 } else { days };
                send(&mut dice, again, true);
            }
        }
        arrivals.sort_by_key(|arrival| arrival.at);
        let file = write_day(plan, day, &mut arrivals)?;
        total += file.rows;
        progress(Kind::AdEvents.as_str(), total);
        files.push(file);
    }
    Ok(files)
}

fn write_day(plan: &Plan, day: u32, arrivals: &mut [Arrival]) -> Result<Generated> {
    let path = plan.out.join(format!(
        "ads/events/events-{}.ndjson",
        plan.date(day).format("%Y-%m-%d")
    ));
    let mut output = Output::create(&path)?;
    let (mut defects, mut duplicates) = (0, 0);
    for arrival in arrivals.iter() {
        output.line(&arrival.line())?;
        defects += u64::from(arrival.fault.is_some());
        duplicates += u64::from(arrival.repeated);
    }
    output.finish()?;
    Ok(Generated {
        path,
        kind: Kind::AdEvents,
        rows: arrivals.len() as u64,
        defects,
        duplicates,
    })
}

/// The events that happen on a day: those of the day's orders, others, and what they cost.
fn events_of_day(dice: &mut Dice, shop: &Shop, midnight: i64, target: u64) -> Vec<Event> {
    let mut events = Vec::new();
    for order in shop.orders_of_day(midnight) {
        if let Some(campaign) = order.campaign {
            events.extend(events_of_order(
                dice,
                shop,
                order,
                &CAMPAIGNS[campaign],
                midnight,
            ));
        }
    }
    let weights = CAMPAIGNS.map(|campaign| campaign.weight);
    // Each campaign reports its spend four times a day.
    let spends = CAMPAIGNS.len() as u64 * 4;
    while (events.len() as u64) + spends < target {
        let campaign = &CAMPAIGNS[dice.weighted(&weights)];
        let places: Vec<u64> = COUNTRIES
            .iter()
            .map(|country| u64::from(country.currency == campaign.currency))
            .collect();
        let country = COUNTRIES[dice.weighted(&places)].code;
        let user = 1_000_000 + dice.skewed_index(500_000) as i64;
        let viewer = viewer(dice, campaign, user, country);
        let ts = moment(dice, midnight) * 1_000 + dice.between(0, 999);
        events.push(event(dice, What::Impression, ts, campaign, viewer));
        if dice.chance(campaign.click_rate) {
            // Not on another day than the impression: files are written day by day.
            let clicked = (ts + dice.between(900, 40_000)).min((midnight + DAY) * 1_000 - 1);
            events.push(event(dice, What::Click, clicked, campaign, viewer));
        }
    }
    for campaign in &CAMPAIGNS {
        for quarter in 0..4 {
            let begin = (midnight + quarter * DAY / 4) * 1_000;
            let end = begin + DAY / 4 * 1_000;
            let clicks = events
                .iter()
                .filter(|event| event.what == What::Click && event.campaign.id == campaign.id)
                .filter(|event| (begin..end).contains(&event.ts))
                .count() as i64;
            let cost_micros = clicks * campaign.click_micros * dice.between(85, 115) / 100;
            let id = dice.uuid();
            events.push(Event {
                id,
                ts: end - 1,
                what: What::Spend,
                campaign,
                viewer: None,
                cost_micros,
                order: None,
            });
        }
    }
    events
}

fn event(
    dice: &mut Dice,
    what: What,
    ts: i64,
    campaign: &'static Campaign,
    viewer: Viewer,
) -> Event {
    Event {
        id: dice.uuid(),
        ts,
        what,
        campaign,
        viewer: Some(viewer),
        cost_micros: 0,
        order: None,
    }
}

fn viewer(dice: &mut Dice, campaign: &Campaign, user: i64, country: &'static str) -> Viewer {
    let placements: &'static [&'static str] = match campaign.platform {
        "google" | "bing" => &["search", "search", "display", "video"],
        "tiktok" => &["feed", "video"],
        _ => &["feed", "stories", "video"],
    };
    let placement = *dice.pick(placements);
    Viewer {
        user,
        session: dice.below(1 << 48),
        ad: campaign.id * 100 + dice.between(1, ADS_PER_CAMPAIGN),
        device: ["mobile", "desktop", "tablet"][dice.weighted(&[62, 30, 8])],
        placement,
        country,
        bid: dice.below(45_000) + 500,
    }
}

/// The impression, the click and the conversion of one order.
fn events_of_order(
    dice: &mut Dice,
    shop: &Shop,
    order: &Order,
    campaign: &'static Campaign,
    midnight: i64,
) -> [Event; 3] {
    let customer = &shop.customers[order.customer];
    let viewer = viewer(dice, campaign, customer.id, customer.country.code);
    let ordered = order.ts * 1_000 + dice.between(0, 999);
    let first = midnight * 1_000;
    let clicked = (ordered - dice.between(60_000, 1_500_000)).max(first);
    let seen = (clicked - dice.between(900, 40_000)).max(first);
    let impression = event(dice, What::Impression, seen, campaign, viewer);
    let click = event(dice, What::Click, clicked, campaign, viewer);
    let conversion = Event {
        order: Some((order.id, order.total_cents() * 10_000)),
        ..event(dice, What::Conversion, ordered, campaign, viewer)
    };
    [impression, click, conversion]
}
