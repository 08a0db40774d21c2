//! The shop: its countries, products and customers.

use super::dice::{Dice, Purpose};
use super::orders::{self, Order};
use super::{DAY, Plan, moment};

/// A country that the shop delivers to.
#[derive(Debug)]
pub(super) struct Country {
    pub(super) code: &'static str,
    pub(super) currency: &'static str,
    /// Customers in it, relative to the others.
    weight: u64,
    /// Thousandths of its currency for one euro.
    rate: i64,
    first_names: [&'static str; 8],
    last_names: [&'static str; 8],
}

impl Country {
    /// A price in euro cents as a price in the country's own cents, which ends in 9.
    pub(super) fn price(&self, euro_cents: i64) -> i64 {
        if self.rate == 1_000 {
            euro_cents
        } else {
            euro_cents * self.rate / 10_000 * 10 + 9
        }
    }
}

const GERMAN: ([&str; 8], [&str; 8]) = (
    [
        "Anna",
        "Jürgen",
        "Sören",
        "Käthe",
        "Lukas",
        "Mia",
        "Emre",
        "Franziska",
    ],
    [
        "Müller", "Schäfer", "Weiß", "Krüger", "Yılmaz", "Becker", "Vogel", "Öztürk",
    ],
);
const ENGLISH: ([&str; 8], [&str; 8]) = (
    [
        "Olivia", "Noah", "Siobhan", "Jamal", "Grace", "Mateo", "Priya", "Liam",
    ],
    [
        "Smith", "O'Brien", "Johnson", "Nguyen", "Patel", "Taylor", "García", "Walker",
    ],
);

const fn country(
    code: &'static str,
    currency: &'static str,
    weight: u64,
    rate: i64,
    names: ([&'static str; 8], [&'static str; 8]),
) -> Country {
    Country {
        code,
        currency,
        weight,
        rate,
        first_names: names.0,
        last_names: names.1,
    }
}

pub(super) const COUNTRIES: [Country; 10] = [
    country("DE", "EUR", 28, 1_000, GERMAN),
    country(
        "FR",
        "EUR",
        14,
        1_000,
        (
            [
                "Chloé", "Jérôme", "Inès", "Étienne", "Manon", "Hugo", "Zoé", "Loïc",
            ],
            [
                "Lefèvre", "Dubois", "Moreau", "Benoît", "Garçon", "Petit", "Nguyen", "Faure",
            ],
        ),
    ),
    country(
        "NL",
        "EUR",
        8,
        1_000,
        (
            [
                "Sanne", "Daan", "Femke", "Bram", "Noor", "Thijs", "Lotte", "Joost",
            ],
            [
                "de Vries", "Jansen", "van Dijk", "Bakker", "Visser", "Smit", "Mulder", "Bos",
            ],
        ),
    ),
    country(
        "ES",
        "EUR",
        8,
        1_000,
        (
            [
                "Lucía", "Martín", "Sofía", "Álvaro", "Carmen", "Íñigo", "Paula", "Diego",
            ],
            [
                "García", "Muñoz", "López", "Peña", "Ibáñez", "Ruiz", "Ortega", "Vázquez",
            ],
        ),
    ),
    country(
        "IT",
        "EUR",
        7,
        1_000,
        (
            [
                "Giulia", "Niccolò", "Chiara", "Matteo", "Elena", "Luca", "Sara", "Paolo",
            ],
            [
                "Rossi", "Bianchi", "Esposito", "Ricci", "Greco", "Conti", "D'Angelo", "Fontana",
            ],
        ),
    ),
    country("AT", "EUR", 5, 1_000, GERMAN),
    country("GB", "GBP", 10, 860, ENGLISH),
    country("US", "USD", 12, 1_080, ENGLISH),
    country(
        "SE",
        "SEK",
        4,
        11_300,
        (
            [
                "Åsa", "Björn", "Elin", "Göran", "Maja", "Oskar", "Freja", "Nils",
            ],
            [
                "Sjöberg",
                "Lindström",
                "Åkesson",
                "Nyström",
                "Holm",
                "Berg",
                "Ek",
                "Dahl",
            ],
        ),
    ),
    country(
        "PL",
        "PLN",
        4,
        4_300,
        (
            [
                "Zofia",
                "Łukasz",
                "Małgorzata",
                "Paweł",
                "Żaneta",
                "Jan",
                "Ewa",
                "Michał",
            ],
            [
                "Nowak",
                "Wiśniewska",
                "Wójcik",
                "Dąbrowska",
                "Kowalczyk",
                "Król",
                "Gałązka",
                "Pawlak",
            ],
        ),
    ),
];

/// Category, its SKU prefix, its things, and the cheapest and dearest in euro.
type Category = (&'static str, &'static str, [&'static str; 5], i64, i64);

const CATEGORIES: [Category; 8] = [
    (
        "shoes",
        "SHO",
        ["Sneaker", "Boot", "Sandal", "Loafer", "Trail Shoe"],
        39,
        159,
    ),
    (
        "shirts",
        "SHI",
        ["Linen Shirt", "T-Shirt", "Polo", "Flannel Shirt", "Blouse"],
        15,
        79,
    ),
    (
        "trousers",
        "TRO",
        ["Jeans", "Chino", "Shorts", "Culotte", "Jogger"],
        25,
        109,
    ),
    (
        "jackets",
        "JAC",
        ["Rain Jacket", "Parka", "Blazer", "Fleece", "Down Vest"],
        49,
        249,
    ),
    (
        "bags",
        "BAG",
        ["Backpack", "Tote", "Weekender", "Belt Bag", "Laptop Sleeve"],
        19,
        139,
    ),
    (
        "accessories",
        "ACC",
        ["Beanie", "Scarf", "Belt", "Sunglasses", "Gloves"],
        9,
        59,
    ),
    (
        "home",
        "HOM",
        ["Mug", "Blanket", "Candle", "Cushion", "Lamp"],
        8,
        89,
    ),
    (
        "kids",
        "KID",
        ["Onesie", "Rain Boots", "Hoodie", "Leggings", "Cap"],
        9,
        49,
    ),
];

const ADJECTIVES: [&str; 12] = [
    "Alpine", "Café", "Nordic", "Classic", "Light", "Urban", "Coastal", "Merino", "Organic",
    "Recycled", "Vintage", "Everyday",
];

/// Something the shop sells or sold.
#[derive(Debug)]
pub(super) struct Product {
    pub(super) id: i64,
    pub(super) sku: String,
    pub(super) name: String,
    pub(super) category: &'static str,
    /// Euro cents.
    pub(super) price_cents: i64,
    /// The price after the first snapshot.
    pub(super) later_price_cents: i64,
    pub(super) cost_cents: i64,
    pub(super) active: bool,
    /// Gone from the table in the second snapshot; nobody ever bought it.
    pub(super) removed_later: bool,
}

/// Who buys.
#[derive(Debug)]
pub(super) struct Customer {
    pub(super) id: i64,
    pub(super) email: String,
    pub(super) name: String,
    /// Where orders go to.
    pub(super) country: &'static Country,
    /// Whether the customer's own record says so; it should.
    pub(super) country_known: bool,
    pub(super) created_at: i64,
    pub(super) segment: Option<&'static str>,
    pub(super) later_segment: Option<&'static str>,
    pub(super) consent: bool,
    pub(super) later_consent: bool,
}

/// Everything that the sources describe.
#[derive(Debug)]
pub(super) struct Shop {
    pub(super) products: Vec<Product>,
    /// Indexes of the products that are sold, the popular ones first.
    pub(super) sold: Vec<usize>,
    /// In the order of `created_at`.
    pub(super) customers: Vec<Customer>,
    /// In the order of their time.
    pub(super) orders: Vec<Order>,
    /// When the first snapshot of the database is made; None where the period is a single day.
    pub(super) first_snapshot: Option<i64>,
}

impl Shop {
    pub(super) fn new(plan: &Plan) -> Shop {
        let first_snapshot = (plan.days > 1).then(|| plan.midnight(plan.days / 2));
        let products = products(plan);
        let sold = (0..products.len())
            .filter(|index| products[*index].active && !products[*index].removed_later)
            .collect();
        let mut shop = Shop {
            products,
            sold,
            customers: customers(plan),
            orders: Vec::new(),
            first_snapshot,
        };
        shop.orders = orders::orders(plan, &shop);
        shop
    }

    /// The orders of a day that begins at `midnight`.
    pub(super) fn orders_of_day(&self, midnight: i64) -> &[Order] {
        let begin = self.orders.partition_point(|order| order.ts < midnight);
        let end = self
            .orders
            .partition_point(|order| order.ts < midnight + DAY);
        &self.orders[begin..end]
    }
}

fn products(plan: &Plan) -> Vec<Product> {
    let mut dice = Dice::new(plan.seed, Purpose::Products);
    let count = plan.scaled(200).clamp(20, 20_000) as i64;
    (1..=count)
        .map(|id| {
            let (category, prefix, things, low, high) = *dice.pick(&CATEGORIES);
            let price_cents = dice.between(low, high) * 100 - *dice.pick(&[1, 1, 5, 10, 51]);
            let name = format!("{} {}", dice.pick(&ADJECTIVES), dice.pick(&things));
            Product {
                id,
                sku: format!("{prefix}-{id:05}"),
                name,
                category,
                price_cents,
                later_price_cents: if dice.chance(40) {
                    price_cents * 9 / 10
                } else {
                    price_cents
                },
                cost_cents: price_cents * dice.between(42, 68) / 100,
                active: id % 31 != 0,
                removed_later: id % 53 == 19,
            }
        })
        .collect()
}

fn customers(plan: &Plan) -> Vec<Customer> {
    let mut dice = Dice::new(plan.seed, Purpose::Customers);
    let count = plan.scaled(2_000).max(20);
    let begin = plan.midnight(0);
    let mut created: Vec<i64> = (0..count)
        .map(|_| {
            if dice.chance(780) {
                let midnight = begin - dice.between(1, 730) * DAY;
                moment(&mut dice, midnight)
            } else {
                let midnight = plan.midnight(dice.below(u64::from(plan.days)) as u32);
                moment(&mut dice, midnight)
            }
        })
        .collect();
    created.sort_unstable();
    let weights: Vec<u64> = COUNTRIES.iter().map(|country| country.weight).collect();
    let mut id = 0;
    created
        .into_iter()
        .map(|created_at| {
            id += 1;
            let country = &COUNTRIES[dice.weighted(&weights)];
            let (first, last) = (
                *dice.pick(&country.first_names),
                *dice.pick(&country.last_names),
            );
            let domain = dice.pick(&["com", "org", "net"]);
            let segment = if created_at >= begin {
                Some("new")
            } else {
                [Some("regular"), Some("vip"), None][dice.weighted(&[85, 9, 6])]
            };
            let consent = dice.chance(620);
            Customer {
                id,
                email: format!("{}.{}{id}@example.{domain}", ascii(first), ascii(last)),
                name: format!("{first} {last}"),
                country,
                country_known: !dice.chance(3),
                created_at,
                segment,
                later_segment: if segment == Some("regular") && dice.chance(20) {
                    Some("vip")
                } else {
                    segment
                },
                consent,
                later_consent: consent && !dice.chance(15),
            }
        })
        .collect()
}

/// A name as it may be in an email address.
fn ascii(name: &str) -> String {
    name.chars()
        .filter_map(|letter| match letter {
            'ä' | 'å' | 'à' | 'á' | 'ą' => Some('a'),
            'ö' | 'ò' | 'ó' | 'ô' => Some('o'),
            'ü' | 'ú' => Some('u'),
            'é' | 'è' | 'ë' | 'ę' => Some('e'),
            'í' | 'ï' | 'î' | 'ı' => Some('i'),
            'ñ' => Some('n'),
            'ç' => Some('c'),
            'ß' | 'ś' => Some('s'),
            'ł' | 'Ł' => Some('l'),
            'ż' | 'Ż' => Some('z'),
            'É' => Some('e'),
            'Á' | 'Å' => Some('a'),
            'Í' => Some('i'),
            'Ö' => Some('o'),
            letter => letter
                .is_ascii_alphanumeric()
                .then(|| letter.to_ascii_lowercase()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_mail_address_as_long_as_its_letters() {
        for country in &COUNTRIES {
            for name in country.first_names.iter().chain(&country.last_names) {
                let letters = name
                    .chars()
                    .filter(|letter| letter.is_alphanumeric())
                    .count();
                assert_eq!(ascii(name).len(), letters, "{name}");
            }
        }
    }
}
