//! What people write about the shop, in several languages.

use super::dice::Dice;
use super::shop::Shop;

/// Phrases of one language: what people are glad of, what they say, and what they complain about.
/// `{}` stands for a product.
struct Language {
    code: &'static str,
    weight: u64,
    glad: [&'static str; 5],
    plain: [&'static str; 3],
    sad: [&'static str; 4],
}

const LANGUAGES: [Language; 6] = [
    Language {
        code: "en",
        weight: 52,
        glad: [
            "I love my new {}! Great quality and super fast shipping",
            "Best purchase this year: the {} is amazing, would buy again",
            "Wow, the {} is even more beautiful than in the pictures. Thank you!",
            "Support was friendly and helpful, the {} got exchanged in two days. Excellent service",
            "Wearing the {} all week, so comfortable and happy with it",
        ],
        plain: [
            "Anyone know if the {} runs small?",
            "Thinking about getting the {} for my trip in March",
            "The {} is back in stock",
        ],
        sad: [
            "Terrible experience: my {} arrived broken and nobody answers",
            "Still waiting for my {}. Two weeks! This is awful",
            "The {} fell apart after one wash, really disappointed. Bad quality",
            "Never again. Wrong {} delivered and the refund is a nightmare",
        ],
    },
    Language {
        code: "de",
        weight: 18,
        glad: [
            "Ich liebe mein neues Teil: {}! Tolle Qualität und schnelle Lieferung",
            "Bester Kauf des Jahres, {} ist großartig",
            "Super Service, {} wurde sofort umgetauscht. Danke!",
            "{} sitzt perfekt, gerne wieder",
            "Endlich da: {}. Wunderschön!",
        ],
        plain: [
            "Weiß jemand, wie {} ausfällt?",
            "Überlege, {} zu bestellen",
            "{} ist wieder auf Lager",
        ],
        sad: [
            "Furchtbar: {} kam kaputt an und niemand meldet sich",
            "Warte seit zwei Wochen auf {}. Schrecklich",
            "{} nach einer Wäsche hinüber, sehr enttäuscht",
            "Nie wieder. Falsche Größe bei {} und keine Rückzahlung",
        ],
    },
    Language {
        code: "fr",
        weight: 11,
        glad: [
            "J'adore mon {} ! Très bonne qualité et livraison rapide",
            "Meilleur achat de l'année : {}",
            "Service client génial, {} échangé tout de suite, merci",
            "{} est magnifique, je recommande",
            "Ravie de mon {} 😍",
        ],
        plain: [
            "Quelqu'un sait si {} taille petit ?",
            "J'hésite à prendre {}",
            "{} est de nouveau disponible",
        ],
        sad: [
            "Très déçu, {} est arrivé cassé",
            "Deux semaines que j'attends {}. C'est honteux",
            "{} abîmé après un lavage, mauvaise qualité",
            "Plus jamais, {} jamais remboursé",
        ],
    },
    Language {
        code: "es",
        weight: 9,
        glad: [
            "¡Me encanta mi {}! Muy buena calidad y envío rápido",
            "La mejor compra del año: {}",
            "Gran atención, cambiaron mi {} enseguida. ¡Gracias!",
            "{} es precioso, lo recomiendo",
            "Muy feliz con {}",
        ],
        plain: [
            "¿Alguien sabe si {} talla pequeño?",
            "Estoy pensando en comprar {}",
            "{} vuelve a estar disponible",
        ],
        sad: [
            "Terrible, {} llegó roto",
            "Dos semanas esperando {}. Qué vergüenza",
            "{} se rompió tras un lavado, muy mala calidad",
            "Nunca más: {} equivocado y sin reembolso",
        ],
    },
    Language {
        code: "ja",
        weight: 5,
        glad: [
            "{} が届いた！品質が最高で配送も早い",
            "今年一番の買い物は {} です",
            "サポートが親切でした。{} ありがとう",
            "{} かわいい！おすすめ",
            "{} に大満足",
        ],
        plain: [
            "{} のサイズ感わかる人いますか？",
            "{} を買うか迷っている",
            "{} 再入荷しました",
        ],
        sad: [
            "{} が壊れて届いた。残念",
            "{} がまだ届かない。もう二週間",
            "{} は一回洗っただけで破れた",
            "{} の返金がまだです",
        ],
    },
    Language {
        code: "pl",
        weight: 5,
        glad: [
            "Uwielbiam mój {}! Świetna jakość i szybka dostawa",
            "Najlepszy zakup roku: {}",
            "Super obsługa, {} wymieniony od ręki. Dziękuję!",
            "{} jest piękny, polecam",
            "Bardzo zadowolona, {} pasuje idealnie",
        ],
        plain: [
            "Czy ktoś wie, jak wypada rozmiar {}?",
            "Zastanawiam się nad {}",
            "{} znowu dostępny",
        ],
        sad: [
            "Okropne, {} przyszedł uszkodzony",
            "Dwa tygodnie czekam na {}. Wstyd",
            "{} rozpadł się po jednym praniu",
            "Nigdy więcej, zły {} i brak zwrotu",
        ],
    },
];

const GLAD_EMOJI: [&str; 6] = ["😍", "🔥", "🎉", "❤️", "👍🏽", "🛍️"];
const SAD_EMOJI: [&str; 4] = ["😡", "😞", "👎", "🤦‍♀️"];
const HASHTAGS: [&str; 10] = [
    "TarnShop",
    "ootd",
    "sale",
    "fashion",
    "unboxing",
    "slowfashion",
    "Café",
    "WinterSale2026",
    "style",
    "fail",
];
const FRIENDS: [&str; 6] = [
    "anna_b",
    "jonas.k",
    "marie_l",
    "sam_w",
    "yuki",
    "the_real_ben",
];

/// The words of a post.
pub(super) struct Text {
    pub(super) language: &'static str,
    /// The words with hashtags and mentions among them.
    pub(super) text: String,
    /// Without the number sign.
    pub(super) hashtags: Vec<&'static str>,
    /// Without the at sign.
    pub(super) mentions: Vec<&'static str>,
}

/// Text for a post; mentions are made where the platform has them.
pub(super) fn text(dice: &mut Dice, shop: &Shop) -> Text {
    let weights = LANGUAGES.map(|language| language.weight);
    let language = &LANGUAGES[dice.weighted(&weights)];
    let product = &shop.products[shop.sold[dice.skewed_index(shop.sold.len())]].name;
    let (phrase, emoji) = match dice.weighted(&[55, 25, 20]) {
        0 => (*dice.pick(&language.glad), *dice.pick(&GLAD_EMOJI)),
        1 => (*dice.pick(&language.plain), "🤔"),
        _ => (*dice.pick(&language.sad), *dice.pick(&SAD_EMOJI)),
    };
    let mut text = phrase.replace("{}", product);
    let mut mentions = Vec::new();
    if dice.chance(450) {
        mentions.push("tarnshop");
        text = if dice.chance(500) {
            format!("@tarnshop {text}")
        } else {
            format!("{text} @tarnshop")
        };
    }
    if dice.chance(120) {
        let friend = *dice.pick(&FRIENDS);
        mentions.push(friend);
        text = format!("{text} cc @{friend}");
    }
    if dice.chance(550) {
        text = format!("{text} {emoji}");
    }
    let mut hashtags: Vec<&'static str> = Vec::new();
    for _ in 0..dice.weighted(&[35, 30, 22, 13]) {
        let hashtag = *dice.pick(&HASHTAGS);
        if !hashtags.contains(&hashtag) {
            hashtags.push(hashtag);
            text = format!("{text} #{hashtag}");
        }
    }
    // Line breaks and what needs escapes in JSON and HTML.
    if dice.chance(60) {
        text = format!("{text}\n\"5/5\" & more <3");
    }
    Text {
        language: language.code,
        text,
        hashtags,
        mentions,
    }
}
