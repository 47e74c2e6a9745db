//! Requests that are not proved to come from anybody, or cannot be read.

use guideway::control::key::SigningKey;
use guideway::control::token::sign;
use guideway::control::{Face, Reason};
use serde_json::{Value as Json, json};

use super::hall::{Hall, OTHER, Wish, now};

fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(SIGNS[(word >> (18 - 6 * place) & 63) as usize].into());
        }
    }
    text
}

/// Spoils a request before it is signed.
type Spoil = fn(&mut Wish);

pub async fn refused(hall: &mut Hall) {
    use Reason::{Malformed, Oversized, Unauthenticated};
    for (what, bytes) in [
        ("nothing at all", Vec::new()),
        ("a word", b"hello".to_vec()),
        ("bytes that are no text", vec![0xff, 0xfe, 0x00, 0x80]),
        ("JSON without a signature", b"{\"device\":\"Cell\",\"command\":\"set_level\"}".to_vec()),
        ("two points and nothing between", b"..".to_vec()),
    ] {
        hall.refused_through(what, Face::Mqtt, Malformed, &bytes).await;
    }
    hall.refused_through("a megabyte", Face::Mqtt, Oversized, &vec![b'a'; 1 << 20]).await;

    let wish = hall.level();
    let good = hall.sign(&wish);
    let parts: Vec<&str> = good.split('.').collect();
    let payload = base64(wish.json().to_string().as_bytes());
    let none = format!("{}.{payload}.", base64(br#"{"alg":"none","typ":"JWT"}"#));
    hall.refused_through("the algorithm none", Face::Http, Unauthenticated, none.as_bytes()).await;
    let hs512 = format!("{}.{payload}.{}", base64(br#"{"alg":"HS512","typ":"JWT"}"#), parts[2]);
    hall.refused_through("another algorithm", Face::Http, Unauthenticated, hs512.as_bytes()).await;
    let other = json!({ "level": 99.0 });
    let forged = Wish { args: other, ..hall.level() };
    let forged = base64(forged.json().to_string().as_bytes());
    let text = format!("{}.{forged}.{}", parts[0], parts[2]);
    hall.refused_through(
        "claims that were changed after signing",
        Face::Http,
        Unauthenticated,
        text.as_bytes(),
    )
    .await;
    let cut = &good[..good.len() - 4];
    hall.refused_through("a signature that is cut", Face::Http, Unauthenticated, cut.as_bytes()).await;
    let text = format!("{}.{}.", parts[0], parts[1]);
    hall.refused_through("no signature", Face::Http, Unauthenticated, text.as_bytes()).await;
    let wish = hall.level();
    let stranger = sign(&SigningKey::secret(OTHER).unwrap(), &wish.json()).unwrap();
    hall.refused_through("somebody else's secret", Face::Mqtt, Unauthenticated, stranger.as_bytes()).await;
    let wish = Wish { iss: "nobody".into(), ..hall.level() };
    let unknown = sign(&SigningKey::secret(OTHER).unwrap(), &wish.json()).unwrap();
    hall.refused_through("a requester whom nobody knows", Face::Mqtt, Unauthenticated, unknown.as_bytes())
        .await;

    let spoilt: [(&str, Reason, Spoil); 18] = [
        ("a request for another gateway", Unauthenticated, |wish| wish.aud = "other".into()),
        ("a request for no gateway", Malformed, |wish| wish.without.push("aud")),
        ("no requester", Unauthenticated, |wish| wish.without.push("iss")),
        ("no id", Malformed, |wish| wish.without.push("jti")),
        ("an id with a space", Malformed, |wish| wish.jti = "a b".into()),
        ("an id that is too long", Malformed, |wish| wish.jti = "x".repeat(65)),
        ("no end", Malformed, |wish| wish.without.push("exp")),
        ("an end that is no time", Malformed, |wish| drop(wish.more.insert("exp".into(), "soon".into()))),
        ("no device", Malformed, |wish| wish.without.push("device")),
        ("no command", Malformed, |wish| wish.without.push("command")),
        ("arguments that are a list", Malformed, |wish| wish.args = json!([1])),
        ("a dry run that is a word", Malformed, |wish| {
            drop(wish.more.insert("dry_run".into(), "yes".into()));
        }),
        ("a misspelt dry run", Malformed, |wish| drop(wish.more.insert("dryrun".into(), true.into()))),
        ("not valid yet", Unauthenticated, |wish| {
            drop(wish.more.insert("nbf".into(), (now() + 60.0).into()));
        }),
        ("seventy arguments", Malformed, |wish| {
            wish.args =
                (0..70).map(|n| (format!("a{n}"), Json::from(n))).collect::<serde_json::Map<_, _>>().into();
        }),
        ("a device whose name is a list", Malformed, |wish| {
            drop(wish.more.insert("device".into(), json!(["Cell"])));
        }),
        ("an empty device", Malformed, |wish| wish.device = String::new()),
        ("an end that is no number", Malformed, |wish| drop(wish.more.insert("exp".into(), Json::Null))),
    ];
    for (what, reason, spoil) in spoilt {
        let mut wish = hall.level();
        spoil(&mut wish);
        let signed = sign(&hall.key, &wish.json()).unwrap();
        hall.refused_through(what, Face::Mqtt, reason, signed.as_bytes()).await;
    }

    for (what, path) in [
        ("an address of another device", ("Gone", "set_level")),
        ("an address of another command", ("Cell", "relay")),
    ] {
        let wish = hall.level();
        let signed = hall.sign(&wish);
        let before = hall.machine().await;
        let end = *hall.control.open(Face::Http, signed.as_bytes(), Some(path)).unwrap_err();
        hall.is_refused(what, Malformed, &end, &before).await;
    }
    let before = hall.machine().await;
    let end = *hall.control.login(Face::Http, "twin", "secret").await.unwrap_err();
    hall.is_refused("a password of somebody who has none", Unauthenticated, &end, &before).await;
}
