//! The web server's log, one file per day: combined format, some files with virtual hosts, some gzip.

use chrono::DateTime;
use tarn_core::Result;

use super::campaigns::CAMPAIGNS;
use super::dice::{Dice, Purpose, split};
use super::orders::Order;
use super::output::Output;
use super::shop::Shop;
use super::{Generated, Kind, Plan, Progress, moment};

const BROWSERS: [&str; 9] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 14; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
    "Mozilla/5.0 (iPad; CPU OS 17_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.7 Mobile/15E148 Safari/604.1",
    // A quote inside a field, as servers escape it.
    "Mozilla/5.0 (Linux; Android 13; \\\"SmartFridge\\\" 2) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36",
];
const BROWSER_WEIGHTS: [u64; 9] = [24, 14, 22, 18, 6, 5, 7, 3, 1];

const BOTS: [&str; 8] = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "curl/8.5.0",
    "python-requests/2.32.3",
    "Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)",
];

const REFERERS: [&str; 7] = [
    "-",
    "https://www.google.com/",
    "https://www.bing.com/search?q=linen+shirt+online",
    "https://t.co/9fKxQ2mLpA",
    "https://www.reddit.com/r/frugalmalefashion/",
    "https://mastodon.example/@tarnshop",
    "https://duckduckgo.com/",
];
const REFERER_WEIGHTS: [u64; 7] = [40, 34, 5, 7, 4, 2, 8];

const SITE: &str = "https://shop.example.com";

/// What scanners ask for; the last is not HTTP, written as servers log it.
const PROBES: [(&str, u16); 5] = [
    ("GET /wp-login.php HTTP/1.1", 404),
    ("GET /.env HTTP/1.1", 404),
    ("POST /xmlrpc.php HTTP/1.1", 404),
    ("PROPFIND / HTTP/1.1", 405),
    (
        "\\x16\\x03\\x01\\x00\\xEE\\x01\\x00\\x00\\xEA\\x03\\x03\\x9C\\xF1\\xA4\\x07\\\"",
        400,
    ),
];

/// Lines that cannot be read, about this many per 100,000.
const BROKEN_PER_100_000: u64 = 70;

/// A request line, and how the server answered.
struct Exchange<'a> {
    request: &'a str,
    status: u16,
    referer: &'a str,
}

/// A visitor of one visit.
struct Visitor {
    address: String,
    agent: &'static str,
    user: String,
}

/// A line: the second that orders it, and the text before and after its time.
struct Line {
    ts: i64,
    head: String,
    tail: String,
}

/// The lines of one day.
struct Day<'a> {
    dice: &'a mut Dice,
    shop: &'a Shop,
    midnight: i64,
    lines: Vec<Line>,
}

/// Writes `web/access_logs/access-<date>.log`, or `.log.gz` for every third day.
pub(super) fn write(plan: &Plan, shop: &Shop, progress: Progress<'_>) -> Result<Vec<Generated>> {
    let mut dice = Dice::new(plan.seed, Purpose::AccessLog);
    let mut files = Vec::new();
    let mut total = 0;
    for (day, target) in (0..plan.days).zip(split(plan.count(40_000), &plan.day_weights())) {
        let midnight = plan.midnight(day);
        let mut log = Day {
            dice: &mut dice,
            shop,
            midnight,
            lines: Vec::new(),
        };
        log.fill(target);
        let mut lines = log.lines;
        lines.sort_by_key(|line| line.ts);

        let gzip = if day % 3 == 2 { ".gz" } else { "" };
        let path = plan.out.join(format!(
            "web/access_logs/access-{}.log{gzip}",
            plan.date(day).format("%Y-%m-%d")
        ));
        // Every fifth day another server writes, with its own format and clock.
        let (host, offset, zone) = if day % 5 == 4 {
            ("shop.example.com:443 ", 3_600, "+0100")
        } else {
            ("", 0, "+0000")
        };
        let rows = lines.len() as u64;
        let broken = (rows * BROKEN_PER_100_000 / 100_000).max(1);
        let mut places: Vec<u64> = (0..broken).map(|_| dice.below(rows)).collect();
        places.sort_unstable();
        places.dedup();
        let mut output = Output::create(&path)?;
        for (number, line) in (0_u64..).zip(&lines) {
            let local = DateTime::from_timestamp(line.ts + offset, 0).unwrap_or_default();
            let time = local.format("%d/%b/%Y:%H:%M:%S");
            let text = format!("{host}{} [{time} {zone}] {}", line.head, line.tail);
            if places.binary_search(&number).is_ok() {
                output.line(&break_line(&mut dice, &text))?;
            } else {
                output.line(&text)?;
            }
        }
        output.finish()?;
        total += rows;
        progress(Kind::AccessLog.as_str(), total);
        let defects = places.len() as u64;
        files.push(Generated {
            path,
            kind: Kind::AccessLog,
            rows,
            defects,
            duplicates: 0,
        });
    }
    Ok(files)
}

/// A line as a full disk, another program or a wrong clock writes it.
fn break_line(dice: &mut Dice, line: &str) -> String {
    let time = line.find('[').unwrap_or_default();
    match dice.below(4) {
        // In the middle of the request.
        0 => line.chars().take(time + 34).collect(),
        1 => "2026/01/01 00:00:00 [error] 31#31: *1207 upstream timed out (110: Connection timed out)".to_owned(),
        2 => format!("{}[31/Feb/2026:10:00:00 +0000]{}", &line[..time], line.get(time + 28..).unwrap_or_default()),
        _ => "\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}".to_owned(),
    }
}

impl Day<'_> {
    /// Visits and bots until there are about `target` lines; those of orders come first.
    fn fill(&mut self, target: u64) {
        let shop = self.shop;
        for order in shop.orders_of_day(self.midnight) {
            match order.channel {
                "web" => self.ordering_visit(order),
                "app" => self.app_order(order),
                _ => {}
            }
        }
        while (self.lines.len() as u64) < target {
            match self.dice.weighted(&[30, 10, 1]) {
                0 => self.visit(),
                1 => self.bot(),
                _ => self.probe(),
            }
        }
    }

    /// Addresses are from the ranges that are reserved for documentation and tests.
    fn address(&mut self) -> String {
        let dice = &mut *self.dice;
        match dice.weighted(&[70, 18, 12]) {
            0 => format!(
                "198.{}.{}.{}",
                18 + dice.below(2),
                dice.below(256),
                1 + dice.below(254)
            ),
            1 => format!("203.0.113.{}", 1 + dice.below(254)),
            _ => format!(
                "2001:db8:{:x}:{:x}::{:x}",
                dice.below(0xffff),
                dice.below(0xff),
                1 + dice.below(0xfff)
            ),
        }
    }

    fn visitor(&mut self, user: String) -> Visitor {
        let address = self.address();
        Visitor {
            address,
            agent: BROWSERS[self.dice.weighted(&BROWSER_WEIGHTS)],
            user,
        }
    }

    fn push(&mut self, ts: i64, visitor: &Visitor, exchange: Exchange<'_>) {
        let Exchange {
            request,
            status,
            referer,
        } = exchange;
        let bytes = match status {
            304 => "-".to_owned(),
            301 | 302 => "0".to_owned(),
            400 | 404 | 405 => self.dice.between(150, 900).to_string(),
            _ if request.contains("/static/") => self.dice.between(4_000, 160_000).to_string(),
            _ => self.dice.between(2_000, 60_000).to_string(),
        };
        let Visitor {
            address,
            agent,
            user,
        } = visitor;
        self.lines.push(Line {
            ts,
            head: format!("{address} - {user}"),
            tail: format!("\"{request}\" {status} {bytes} \"{referer}\" \"{agent}\""),
        });
    }

    fn page(&mut self, ts: i64, visitor: &Visitor, target: &str, referer: &str) {
        let protocol = if self.dice.chance(700) {
            "HTTP/2.0"
        } else {
            "HTTP/1.1"
        };
        let status = [200, 304, 404, 500, 301][self.dice.weighted(&[930, 35, 20, 5, 10])];
        self.push(
            ts,
            visitor,
            Exchange {
                request: &format!("GET {target} {protocol}"),
                status,
                referer,
            },
        );
        if self.dice.chance(120) {
            let asset = ["app.3f9c1d.js", "theme.77ab02.css", "hero.webp"][self.dice.index(3)];
            self.push(
                ts,
                visitor,
                Exchange {
                    request: &format!("GET /static/{asset} {protocol}"),
                    status: 200,
                    referer: &format!("{SITE}{target}"),
                },
            );
        }
    }

    fn product_path(&mut self) -> String {
        let sold = self.dice.skewed_index(self.shop.sold.len());
        format!("/product/{}", self.shop.products[self.shop.sold[sold]].id)
    }

    /// The query of a link from an ad of a campaign.
    fn campaign_query(&mut self, campaign: usize) -> String {
        let campaign = &CAMPAIGNS[campaign];
        let medium = if matches!(campaign.platform, "google" | "bing") {
            "cpc"
        } else {
            "paid_social"
        };
        let click = self.dice.below(u64::MAX);
        format!(
            "?utm_source={}&utm_medium={medium}&utm_campaign={}&clid={click:016x}",
            campaign.platform, campaign.id
        )
    }

    /// A visit that ends with an order.
    fn ordering_visit(&mut self, order: &Order) {
        let user = if self.dice.chance(300) {
            format!("customer{}", self.shop.customers[order.customer].id)
        } else {
            "-".to_owned()
        };
        let visitor = self.visitor(user);
        let mut products: Vec<String> = order
            .items
            .iter()
            .map(|item| format!("/product/{}", self.shop.products[item.product].id))
            .collect();
        if let Some(campaign) = order.campaign {
            let query = self.campaign_query(campaign);
            if let Some(landing) = products.first_mut() {
                landing.push_str(&query);
            }
        }
        let mut referer = if order.campaign.is_some() {
            "https://www.google.com/".to_owned()
        } else {
            REFERERS[self.dice.weighted(&REFERER_WEIGHTS)].to_owned()
        };
        // Backwards from the order, until the day begins.
        let mut ago = self.dice.between(240, 1_400);
        let step = ago / (products.len() as i64 * 2 + 3);
        for product in &products {
            let ts = (order.ts - ago).max(self.midnight);
            self.push(
                ts,
                &visitor,
                Exchange {
                    request: &format!("GET {product} HTTP/2.0"),
                    status: 200,
                    referer: &referer,
                },
            );
            ago -= step;
            let path = product.split('?').next().unwrap_or_default();
            let id = path.rsplit('/').next().unwrap_or_default();
            referer = format!("{SITE}{path}");
            let ts = (order.ts - ago).max(self.midnight);
            self.push(
                ts,
                &visitor,
                Exchange {
                    request: &format!("POST /cart/add?product_id={id} HTTP/2.0"),
                    status: 302,
                    referer: &referer,
                },
            );
            ago -= step;
        }
        let ts = (order.ts - step).max(self.midnight);
        self.push(
            ts,
            &visitor,
            Exchange {
                request: "GET /checkout HTTP/2.0",
                status: 200,
                referer: &format!("{SITE}/cart"),
            },
        );
        self.push(
            order.ts,
            &visitor,
            Exchange {
                request: "POST /checkout HTTP/2.0",
                status: 302,
                referer: &format!("{SITE}/checkout"),
            },
        );
        let thanks = format!("GET /order/confirmation?order_id={} HTTP/2.0", order.id);
        self.push(
            order.ts,
            &visitor,
            Exchange {
                request: &thanks,
                status: 200,
                referer: &format!("{SITE}/checkout"),
            },
        );
    }

    fn app_order(&mut self, order: &Order) {
        let address = self.address();
        let agent = if self.dice.chance(550) {
            "TarnShop/4.12.0 (iPhone; iOS 18.1; Scale/3.00)"
        } else {
            "TarnShop/4.11.2 (Android 14; okhttp/4.12.0)"
        };
        let visitor = Visitor {
            address,
            agent,
            user: "-".to_owned(),
        };
        self.push(
            order.ts,
            &visitor,
            Exchange {
                request: "POST /api/v2/orders HTTP/2.0",
                status: 201,
                referer: "-",
            },
        );
    }

    /// A visit that ends without an order.
    fn visit(&mut self) {
        let visitor = self.visitor("-".to_owned());
        let mut ts = moment(self.dice, self.midnight);
        let mut referer = REFERERS[self.dice.weighted(&REFERER_WEIGHTS)].to_owned();
        for page in 0..1 + self.dice.weighted(&[22, 20, 18, 14, 10, 8, 8]) {
            let target = match self.dice.weighted(&[12, 28, 46, 10, 4]) {
                0 => "/".to_owned(),
                1 => {
                    let category = self.dice.pick(&self.shop.products).category;
                    format!(
                        "/category/{category}?page={}&sort={}",
                        1 + self.dice.below(6),
                        self.dice.pick(&["price", "new", "popular"])
                    )
                }
                2 => {
                    let mut path = self.product_path();
                    if page == 0 && self.dice.chance(250) {
                        let campaign = self.dice.index(CAMPAIGNS.len());
                        path.push_str(&self.campaign_query(campaign));
                        referer = "-".to_owned();
                    }
                    path
                }
                3 => {
                    let words = [
                        "linen+shirt",
                        "caf%C3%A9+mug",
                        "rain+jacket",
                        "sneaker+42",
                        "b%C3%A9b%C3%A9",
                        "gift",
                    ];
                    format!("/search?q={}", self.dice.pick(&words))
                }
                _ => "/cart".to_owned(),
            };
            let end = self.midnight + super::DAY - 1;
            self.page(ts.min(end), &visitor, &target, &referer);
            referer = format!("{SITE}{}", target.split('?').next().unwrap_or_default());
            ts += self.dice.between(4, 140);
        }
    }

    fn bot(&mut self) {
        let agent = BOTS[self.dice.weighted(&[30, 18, 12, 14, 5, 6, 8, 7])];
        let visitor = Visitor {
            address: self.address(),
            agent,
            user: "-".to_owned(),
        };
        // Robots also visit at night.
        let mut ts = self.midnight + self.dice.between(0, 80_000);
        for _ in 0..1 + self.dice.below(6) {
            let target = match self.dice.below(8) {
                0 => "/robots.txt".to_owned(),
                1 => "/sitemap.xml".to_owned(),
                _ => self.product_path(),
            };
            self.page(ts, &visitor, &target, "-");
            ts += self.dice.between(1, 60);
        }
    }

    fn probe(&mut self) {
        let visitor = Visitor {
            address: self.address(),
            agent: "-",
            user: "-".to_owned(),
        };
        let ts = self.midnight + self.dice.between(0, super::DAY - 1);
        let (request, status) = *self.dice.pick(&PROBES);
        self.push(
            ts,
            &visitor,
            Exchange {
                request,
                status,
                referer: "-",
            },
        );
    }
}
