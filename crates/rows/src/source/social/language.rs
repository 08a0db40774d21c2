//! Whether a text whose language nobody says is English, by its most frequent words.
//!
//! Detectors by the frequency of letters need more text than a post has (of 38 English posts of up to six words, the
//! crate `whatlang` took 27 for another language). Words such as "the" and "nicht" decide with few of them, and a text
//! without any is not taken for English: a score of 0 would look like a neutral text.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Frequent words of English. Those that other languages have too are among [`OTHERS`] as well.
const ENGLISH: &str = "
    a about after again all also always am an and another any anyone anything are aren't arrived as ask at away
    awesome back bad be because been before being best better big bought but buy by came can can't cannot come cool
    could couldn't day days deal deals definitely delivered delivery did didn't do does doesn't doing don't done down
    each enough even ever every everyone everything few find finally first fit fits for found free from get gets
    getting give go going gone good got great guys had has have haven't having he hello her here hers hey hi him his how i i'd i'll
    i'm i've if i'm in into is isn't it it's its item items just keep know last left let like little long look looking
    looks lot love made make many may maybe me mean might mine more most much must my need never new next nice no
    nobody not nothing now of off on once one online only or order ordered other our ours out over own people place
    please price product products pretty quality quite ready really received recommend refund return returned right
    said sale same saw say see seems sent she ship shipped shipping shoe shoes shop should since size so some someone
    something soon sorry still stock store such super support sure take than thank thanks that that's the their them
    then there these they they're thing things think this those though thought through time to today together
    tomorrow too took tried try two under until up us use used very waiting want wanted was wasn't way we we're we've
    week weeks well went were what when where which while who why will wish with without won't wonder work works worst
    worth would wow wrong year years yes yesterday yet you you're your yours";

/// Frequent words of other languages in Latin letters.
const OTHERS: &str = "
    au aussi aux avec beaucoup c'est ce ces cette chez comme dans de des depuis donc du elle elles en encore est et eu
    fait ici il ils j'ai je la le les leur ma mais merci mes moi mon même ne nous on ou où par pas plus pour produit
    quand que qui rien sa sans se ses si sont sur suis ta te tout très trop tu un une vos votre vous ça été être
    aber alle alles als am an auch auf aus bei bin bis bitte bist da damit danke dann das dass dein dem den denn der
    des dich die dir doch du ein eine einem einen einer er es euch euer für gegen gerade gut hab habe haben hat hatte
    heute hier ich ihr im immer in ist ja jede jetzt kann kein keine können leider man mehr mein meine mich mir mit
    morgen muss nach nicht nichts nie noch nur oder ohne schon schön sehr sein seit sich sie sind so toll und uns
    unser vom von vor wann war waren warum was weil weiß wenn wer werden wie wieder wir wird wo wurde zu zum zur über
    al algo alguien ahora aquí así aunque bien buena bueno como con cuando de del desde donde dónde el ella ellos en
    era es esa ese eso esta estas este esto estoy está están fue gracias ha hasta hay he hola la las lo los me mejor
    mi mis mucho muy más nada nadie ni no nunca o otra otro para pedido pero poco por porque pues que quien quiero se
    ser si siempre sin sobre solo son su sus sí también tan te tengo tiene todas todo todos tu una uno y ya yo
    a abbiamo alla alle anche ancora avete bella bello bene c'è che chi ci ciao con cosa così da dal dalla dei del
    della delle di dopo dove e era gli grazie ha hai hanno ho i il in io la le lei loro lui ma mai me mi mia mio molto
    ne nel nella niente noi non ogni ordine ottimo per perché però piu più poi prodotto qua qual qualcuno quando
    quanto quella quello questa questo qui sarà se sei sempre senza si siamo solo sono sta sua suo sul sulla tra
    troppo tutte tutti tutto un una va voi
    adorei agora ainda ao aos até bom boa com como da das de dele depois do dos e ela ele em então era essa esse
    está eu fazer foi isso já lá mais mas meu minha muito na nada nas nem no nos nossa nosso não obrigada obrigado onde
    os ou para pela pelo porque pra quando que quem se sem ser seu sua são só também tem tenho tudo um uma você vocês
    aan al alles als bedankt ben bent bij dan dat de deze die dit doen door dus een en er gaan geen goed haar heb
    hebben heeft heel helaas het hier hij hoe hun ik in is je jij jullie kan kunnen maar meer met mij mijn moet na
    naar niet niets nog nooit nu of om onder ons ook op over snel te tot uit van veel voor waar waarom wat we wel werd
    wie wij worden zal ze zeer zijn zo zonder
    alla allt att av bara bra både de dem den det dig din där då efter eller en ett från för ha han har hur här hos i
    inga ingen inte ja jag kan kom man med men mig min mycket måste nu när och också om på sin ska skulle så tack till
    upp ut var vara vi vill än är är
    af alle at bare blev bliver da den der det dig ikke jeg kan med meget mig men mig mit nej noget og også på skal som
    takk tak til ud var ved vi være å
    ei että hyvä ja joka jos kiitos kun kuin mikä minä mitä mutta myös nyt on oli olla olen ole se sekä sen
    ale bardzo bo by był było być co czy dla do dobrze dziękuję gdzie go i ich ja jak jako jest jestem już kiedy które
    ma mam mi mnie moja mój na nic nie nigdy o od po polecam pod przez się są tak tam tego ten teraz to tu tylko w we z
    za ze że
    a ani ahoj aby ale by byl bylo co do děkuji díky jak jako jen je jsem jsme jsou já k kde kdy když který mi moc může
    na ne nebo není nic o od po pro proto se si tak to tu už v ve však velmi z za že
    a az ban csak de egy el ez fel hogy igen is itt jó kell ki köszönöm le lesz már meg mert mi mint most nagyon ne nem
    nincs és s sem szép van vagy volt
    acest acum ai al am ar asta au ca ce cel cu cum da dar de din este eu fi foarte în la lui mai mea mi mult mulțumesc
    multumesc ne nu o pe pentru prin pe produsul sa sau se si și sunt un unde va
    ama bana ben beni bir biz bu bunu çok da daha de değil en gibi gün güzel hiç her için ile iyi kadar ki kötü mi ne
    neden olan olarak sen siz şey teşekkürler var ve ya yok
    ada adalah akan aku anda apa atau bagus banyak belum bisa cepat dalam dan dari dengan di harga ini itu jangan juga
    kalau kami kamu karena ke kecewa kita lagi mau mereka pada pengiriman sangat saya sudah tapi terima tidak untuk yang";

/// The words of both lists.
struct Lists {
    english: HashSet<&'static str>,
    others: HashSet<&'static str>,
}

static LISTS: LazyLock<Lists> = LazyLock::new(|| Lists {
    english: ENGLISH.split_whitespace().collect(),
    others: OTHERS.split_whitespace().collect(),
});

/// Words of a text that are looked at.
const WORDS: usize = 2_000;

/// Whether a text in any script is English. `is_lexical` says whether a word is in the list of words with a sentiment:
/// these decide where no frequent word does. A text without words, such as one of emoji, counts as English.
pub(super) fn is_english(text: &str, is_lexical: impl Fn(&str) -> bool) -> bool {
    let (mut english, mut others) = (0_usize, 0_usize);
    let (mut lexical, mut has_words) = (false, false);
    let is_mark = |char: char| !char.is_alphanumeric() && char != '\'';
    let tokens = text.split_whitespace().filter(|token| {
        // Names of people and addresses have no language.
        !token.starts_with(['@', '#']) && !token.contains("://") && !token.contains('@')
    });
    let text = tokens
        .flat_map(|token| token.split(|char| is_mark(straight(char))))
        .map(|word| word.chars().map(straight).collect::<String>());
    for word in text.take(WORDS) {
        // Such as Köln: up to Latin Extended-B.
        let is_name =
            word.starts_with(char::is_uppercase) && word.chars().all(|char| char < '\u{250}');
        let word = word.trim_matches('\'').to_lowercase();
        if !word.chars().any(char::is_alphabetic) {
            continue;
        }
        has_words = true;
        let is_english = LISTS.english.contains(word.as_str());
        // "j'ai" and "l'ordre" are two words.
        let is_other = || {
            LISTS.others.contains(word.as_str())
                || word.split('\'').any(|part| LISTS.others.contains(part))
                || !word.is_ascii() && !is_name
        };
        match (is_english, is_other()) {
            (true, false) => english += 1,
            (false, true) => others += 1,
            _ => lexical |= is_lexical(&word),
        }
    }
    english > others || others == 0 && (lexical || !has_words)
}

/// An apostrophe as a keyboard has it.
fn straight(char: char) -> char {
    match char {
        '\u{2019}' | '\u{2bc}' => '\'',
        char => char,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::social::vader::Vader;

    fn wrong(texts: &str, expected: bool) -> Vec<&str> {
        let vader = Vader::new();
        let lines = texts.lines().map(str::trim).filter(|line| !line.is_empty());
        lines
            .filter(|text| is_english(text, |word| vader.has(word)) != expected)
            .collect()
    }

    #[test]
    fn short_posts_in_english_are_english() {
        let texts = "
            Love it
            Great!!
            Worst boots ever
            lol so bad
            Boots in stock
            Parcel came today!!!
            Sale now on
            Which boots?
            Never again
            Super cute
            nice product
            Good quality
            I ❤ this shop
            Best shop in Berlin
            New arrivals
            Refund please
            Fantastic
            Terrible service
            Big sale on all jackets
            10/10 would buy again
            ship faster pls, I’m waiting
            RT @shop_one: new winter boots in store
            Amazing customer service
            Do not buy
            Disappointed
            they fit perfectly
            Totally ruined my day
            pretty decent tbh
            Black Friday deals
            not bad
            cool shoes bro
            We ship to LA and to Köln
            Zoë says the café is lovely and it's open
            It wasn't what I expected, but the die is cast";
        assert_eq!(wrong(texts, true), Vec::<&str>::new());
    }

    #[test]
    fn posts_in_other_languages_are_not() {
        let texts = "
            C'est nul, je veux un remboursement
            C’est nul
            J'adore ces chaussures, merci beaucoup
            Très déçu par la qualité
            la vie est belle avec ces bottes
            je suis fan de cette marque, super
            Les soldes commencent demain
            Die Schuhe sind toll, danke
            Das war leider nichts
            die Brille war fatal
            Ich bin sehr zufrieden mit dem Service
            Rabatt auf alle Jacken bis Sonntag
            Endlich sind die neuen Stiefel da
            Me encanta este producto
            No me gusta nada
            Muy mala atención al cliente
            Descuento en todas las chaquetas
            Non funziona, pessimo servizio
            Sconto su tutte le giacche
            Muito bom, recomendo
            Péssimo atendimento, não comprem
            Geweldige schoenen, snel geleverd
            Helaas kapot aangekomen
            Świetne buty, polecam
            Bardzo zły produkt, nie polecam
            Fantastiska skor, men jag är inte nöjd
            Det var en dejlig oplevelse
            Tuote oli loistava, kiitos
            Nagyon jó termék
            Skvělé boty, doporučuji
            Produsul a ajuns repede, multumesc
            Harika bir ürün, teşekkürler
            Barangnya bagus, pengiriman cepat
            брат, это супер
            素晴らしい靴
            zapatos";
        assert_eq!(wrong(texts, false), Vec::<&str>::new());
    }

    #[test]
    fn names_addresses_and_emoji_have_no_language() {
        let texts = "
            @el_mejor https://www.shop.example/las/mejores/de
            12345
            ❤❤❤";
        assert_eq!(wrong(texts, true), Vec::<&str>::new());
    }
}
