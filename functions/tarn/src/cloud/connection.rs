//! The lake on AWS, for functions and the command line alike.

use std::path::Path;

use tarn_aws::{Aws, Settings};
use tarn_contract::Contracts;
use tarn_lake::Lake;

/// The services, and the lake over them.
#[derive(Clone)]
pub struct Cloud {
    /// The services.
    pub aws: Aws,
    /// The lake.
    pub lake: Lake,
}

/// Connects. Nothing is called yet. What the settings leave out is an error where it is used.
pub async fn connect(settings: Settings, contracts: Contracts, scratch: &Path) -> Cloud {
    let aws = Aws::connect(settings).await;
    let lake = Lake::new(
        aws.objects(),
        aws.catalog(),
        aws.ledger(),
        contracts,
        scratch,
    )
    .with_keys(aws.keys());
    Cloud { aws, lake }
}
