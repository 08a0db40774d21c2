//! What must hold in every plan, as named checks. A check returns what breaks it.

mod access;
mod data;
mod documents;
mod edges;
mod limits;
mod watch;

use crate::plan::{self, Plan};

pub type Check = fn(&Plan) -> Vec<String>;

/// Every check by its name.
pub const ALL: &[(&str, Check)] = &[
    // access
    ("every policy is known when the plan is made", access::known),
    ("no action has a wildcard", access::no_action_wildcard),
    (
        "no resource is a star except the named ones",
        access::no_star,
    ),
    ("no permission is for everybody", access::not_everybody),
    ("services are bound to this account", access::deputies),
    ("roles are taken on by named principals", access::trust),
    ("every function has a role of its own", access::own_roles),
    (
        "functions write only their own zones",
        access::zones_written,
    ),
    ("functions read only their own zones", access::zones_read),
    (
        "functions send only to their own queues",
        access::queues_sent,
    ),
    (
        "functions delay messages only of their own queues",
        access::queues_put_off,
    ),
    (
        "only functions that commit change the catalog",
        access::catalog,
    ),
    (
        "only functions that keep the ledger change it",
        access::ledger,
    ),
    ("only ingest reads its secret", access::secrets),
    ("keys are used by alias and through a service", access::keys),
    ("personas see only their own zones", access::personas),
    (
        "functions are given what they need and nothing else",
        access::environment,
    ),
    (
        "API Gateway calls the API's function alone",
        access::permissions,
    ),
    // documents
    ("no document has a null", documents::nulls),
    ("no policy holds an empty value", documents::hollow),
    // data
    ("buckets refuse plain HTTP and old TLS", data::bucket_tls),
    ("buckets refuse weaker encryption", data::bucket_no_weaker),
    (
        "buckets are encrypted with the data key",
        data::bucket_encryption,
    ),
    ("buckets are versioned", data::bucket_versions),
    ("buckets are not public", data::bucket_public),
    ("buckets have one owner", data::bucket_owner),
    ("buckets clean up", data::bucket_lifecycle),
    ("raw objects are announced", data::raw_events),
    ("keys rotate and are not deleted in haste", data::keys),
    ("the stream is encrypted", data::stream),
    ("the ledger is encrypted and restorable", data::ledger),
    ("secrets are encrypted and hold no value", data::secrets),
    ("prod is protected", data::protection),
    ("queues and topics are encrypted", data::queues),
    ("logs are encrypted and expire", data::logs),
    (
        "CloudWatch Logs may use the key of every log",
        data::log_keys,
    ),
    ("settings of functions are encrypted", data::settings),
    ("schedules are encrypted", data::schedules),
    ("Athena's workgroup enforces its settings", data::athena),
    ("databases are in their zone's bucket", data::databases),
    ("everything is tagged and named by the prefix", data::names),
    // edges
    ("queues and topics refuse plain HTTP", edges::tls),
    ("queues of work have a dead-letter queue", edges::queues),
    ("rules keep what cannot be delivered", edges::rules),
    ("schedules keep what cannot be delivered", edges::schedules),
    ("asynchronous functions keep what failed", edges::functions),
    (
        "notifications keep what cannot be delivered",
        edges::subscriptions,
    ),
    (
        "queues are read with partial failures",
        edges::queue_readers,
    ),
    (
        "a message is not delivered twice at once",
        edges::visibility,
    ),
    (
        "records of the stream are tried until they are old, and then reported",
        edges::stream_readers,
    ),
    (
        "dead-letter queues keep messages for 14 days",
        edges::retention,
    ),
    // limits
    ("names and descriptions fit", limits::lengths),
    ("settings of functions fit", limits::environments),
    (
        "policies fit and name each statement once",
        limits::policies,
    ),
    ("alarms look back as far as they may", limits::alarms),
    // watch
    ("dead-letter queues have an alarm", watch::dead_letters),
    ("queues of work have an alarm", watch::queue_age),
    ("functions have alarms", watch::functions),
    ("the stream's reader has an alarm", watch::iterator_age),
    ("the API has an alarm", watch::api_errors),
    ("metrics are the lake's own", watch::own_metrics),
    ("freshness has alarms", watch::freshness),
    ("service levels and anomalies have alarms", watch::quality),
    ("alarms notify someone", watch::heard),
    ("the budget notifies someone", watch::budget),
    ("functions log as JSON and are traced", watch::functions_log),
    (
        "Lambda drops no line that is asked for, and no metrics",
        watch::log_levels,
    ),
    ("no route is open but health", watch::routes),
    ("the API is throttled and logged", watch::stage),
];

/// What the checks find in a plan, as `check: finding`.
pub fn findings(plan: &Plan) -> Vec<(&'static str, String)> {
    ALL.iter()
        .flat_map(|(name, check)| check(plan).into_iter().map(|finding| (*name, finding)))
        .collect()
}

fn none_in(environment: &str) {
    let found: Vec<String> = findings(plan::of(environment))
        .into_iter()
        .map(|(check, finding)| format!("{check}: {finding}"))
        .collect();
    assert!(found.is_empty(), "{environment}:\n{}", found.join("\n"));
}

#[test]
#[ignore = "needs terraform; run by cargo xtask test"]
fn the_plan_of_dev_passes_every_check() {
    none_in("dev");
}

#[test]
#[ignore = "needs terraform; run by cargo xtask test"]
fn the_plan_of_prod_passes_every_check() {
    none_in("prod");
}

#[test]
#[ignore = "needs terraform; run by cargo xtask test"]
fn the_plan_of_local_passes_every_check() {
    none_in("local");
}

#[test]
#[ignore = "needs terraform; run by cargo xtask test"]
fn policies_are_known_without_knowing_the_keys() {
    let plan = Plan {
        environment: "prod",
        account: crate::terraform::ACCOUNT,
        json: crate::terraform::Copy::new().plan("prod", false),
    };
    assert_eq!(access::known(&plan), Vec::<String>::new());
}
