//! The shop's ad campaigns.

/// A campaign on one platform, paid for in one currency and shown where that is the money.
#[derive(Debug)]
pub(super) struct Campaign {
    pub(super) id: i64,
    pub(super) platform: &'static str,
    pub(super) currency: &'static str,
    /// How often it is shown, relative to the others.
    pub(super) weight: u64,
    /// Clicks per thousand impressions that lead to no order.
    pub(super) click_rate: u64,
    /// Price of a click in millionths of the currency.
    pub(super) click_micros: i64,
}

const fn campaign(
    id: i64,
    platform: &'static str,
    currency: &'static str,
    weight: u64,
    click_rate: u64,
    click_micros: i64,
) -> Campaign {
    Campaign {
        id,
        platform,
        currency,
        weight,
        click_rate,
        click_micros,
    }
}

/// Every campaign.
pub(super) const CAMPAIGNS: [Campaign; 12] = [
    campaign(101, "google", "EUR", 22, 80, 6_300_000),
    campaign(102, "google", "EUR", 14, 62, 5_400_000),
    campaign(103, "google", "USD", 9, 71, 8_100_000),
    campaign(104, "google", "GBP", 7, 66, 7_200_000),
    campaign(201, "meta", "EUR", 18, 45, 9_150_000),
    campaign(202, "meta", "EUR", 10, 38, 10_950_000),
    campaign(203, "meta", "USD", 8, 41, 12_300_000),
    campaign(204, "meta", "GBP", 5, 43, 9_900_000),
    campaign(301, "tiktok", "EUR", 12, 27, 14_100_000),
    campaign(302, "tiktok", "USD", 6, 24, 15_750_000),
    campaign(401, "bing", "EUR", 5, 74, 4_350_000),
    campaign(402, "bing", "GBP", 3, 69, 4_650_000),
];

/// The ads of a campaign are numbered from `campaign.id * 100` on.
pub(super) const ADS_PER_CAMPAIGN: i64 = 4;
