//! The keys of pseudonyms in a secret that several make and read at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::future::join_all;
use serde_json::{Value, json};
use tarn_core::ErrorKind;

use crate::server::{Answer, Call, Server, aws};

/// A secret that refuses another value under a token that was used, as Secrets Manager does.
#[derive(Default)]
struct Secret {
    versions: Mutex<(BTreeMap<String, Value>, Option<String>)>,
}

impl Secret {
    fn answer(&self, call: &Call) -> Answer {
        let input = call.json();
        let (versions, current) = &mut *self.versions.lock().unwrap();
        match call.what.as_str() {
            "GetSecretValue" => match current {
                Some(token) => Answer::json(json!({
                    "ARN": input["SecretId"], "VersionId": token, "SecretString": versions[token.as_str()],
                })),
                None => Answer::error(400, "ResourceNotFoundException"),
            },
            "PutSecretValue" => {
                let token = input["ClientRequestToken"].as_str().unwrap().to_owned();
                assert!((32..=64).contains(&token.len()), "{token}");
                let value = &input["SecretString"];
                if versions.get(&token).is_some_and(|there| there != value) {
                    return Answer::error(400, "ResourceExistsException");
                }
                versions.insert(token.clone(), value.clone());
                *current = Some(token);
                Answer::json(json!({"ARN": input["SecretId"]}))
            }
            what => panic!("{what}"),
        }
    }
}

#[tokio::test]
async fn of_many_who_make_the_first_key_at_once_all_get_the_same() {
    let secret = Arc::new(Secret::default());
    let behind = Arc::clone(&secret);
    let server = Server::start(move |call| behind.answer(call)).await;
    let pseudonyms = join_all((0..6).map(|_| async {
        let key = aws(&server.url, "t").await.keys().newest().await.unwrap();
        (key.version(), key.pseudonym(b"ann"))
    }))
    .await;
    assert!(pseudonyms.iter().all(|one| *one == pseudonyms[0]));
    assert_eq!(pseudonyms[0].0, 1);

    let keys = aws(&server.url, "t").await.keys();
    let first = keys.newest().await.unwrap();
    assert_eq!(keys.rotate(0).await.unwrap().version, 2);
    assert_eq!(keys.list().await.unwrap().len(), 2);
    let second = keys.newest().await.unwrap();
    assert_eq!(second.version(), 2, "the one who rotates goes over at once");
    assert_ne!(second.pseudonym(b"ann"), first.pseudonym(b"ann"));
    // A rotation that somebody else has done meanwhile.
    secret.versions.lock().unwrap().1 = Some("tarn-pseudonym-key-version-00000001".to_owned());
    assert_eq!(
        keys.rotate(0).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_an_error_that_does_not_show_it() {
    let server = Server::start(|call: &Call| match call.what.as_str() {
        "GetSecretValue" => Answer::json(json!({"SecretString": "{\"keys\": [\"5ec4e7\"]}"})),
        what => panic!("{what}"),
    })
    .await;
    let error = aws(&server.url, "t")
        .await
        .keys()
        .newest()
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(!error.to_string().contains("5ec4e7"), "{error}");
}
