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

/// Every campaign.
pub(super) const CAMPAIGNS: [Campaign; 12] = [
    Campaign {
        id: 101,
        platform: "google",
        currency: "EUR",
        weight: 22,
        click_rate: 80,
        click_micros: 6_300_000,
    },
    Campaign {
        id: 102,
        platform: "google",
        currency: "EUR",
        weight: 14,
        click_rate: 62,
        click_micros: 5_400_000,
    },
    Campaign {
        id: 103,
        platform: "google",
        currency: "USD",
        weight: 9,
        click_rate: 71,
        click_micros: 8_100_000,
    },
    Campaign {
        id: 104,
        platform: "google",
        currency: "GBP",
        weight: 7,
        click_rate: 66,
        click_micros: 7_200_000,
    },
    Campaign {
        id: 201,
        platform: "meta",
        currency: "EUR",
        weight: 18,
        click_rate: 45,
        click_micros: 9_150_000,
    },
    Campaign {
        id: 202,
        platform: "meta",
        currency: "EUR",
        weight: 10,
        click_rate: 38,
        click_micros: 10_950_000,
    },
    Campaign {
        id: 203,
        platform: "meta",
        currency: "USD",
        weight: 8,
        click_rate: 41,
        click_micros: 12_300_000,
    },
    Campaign {
        id: 204,
        platform: "meta",
        currency: "GBP",
        weight: 5,
        click_rate: 43,
        click_micros: 9_900_000,
    },
    Campaign {
        id: 301,
        platform: "tiktok",
        currency: "EUR",
        weight: 12,
        click_rate: 27,
        click_micros: 14_100_000,
    },
    Campaign {
        id: 302,
        platform: "tiktok",
        currency: "USD",
        weight: 6,
        click_rate: 24,
        click_micros: 15_750_000,
    },
    Campaign {
        id: 401,
        platform: "bing",
        currency: "EUR",
        weight: 5,
        click_rate: 74,
        click_micros: 4_350_000,
    },
    Campaign {
        id: 402,
        platform: "bing",
        currency: "GBP",
        weight: 3,
        click_rate: 69,
        click_micros: 4_650_000,
    },
];

/// The ads of a campaign are numbered from `campaign.id * 100` on.
pub(super) const ADS_PER_CAMPAIGN: i64 = 4;
