//! Uploads in parts and their checksums, against a server that is as strict as S3.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use tarn_core::ErrorKind;
use tarn_core::ports::{Original, PutMode};

use crate::server::{Answer, Call, Server, aws};

/// What an upload announced, and its parts with their checksums.
#[derive(Debug, Default, Clone)]
struct Upload {
    algorithm: Option<String>,
    kind: Option<String>,
    parts: BTreeMap<u32, (Vec<u8>, Option<String>)>,
    completed: bool,
}

/// The uploads of one key on S3.
#[derive(Default)]
struct Uploads {
    upload: Mutex<Upload>,
    /// What S3 has instead of the part that was sent.
    damage: Mutex<Option<u32>>,
}

fn refused(code: &str, message: &str) -> Answer {
    let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    Answer::new(400, body)
}

/// The value of a parameter of the query.
fn parameter<'a>(target: &'a str, name: &str) -> Option<&'a str> {
    let query = target.split_once('?')?.1;
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find_map(|(found, value)| (found == name).then_some(value))
}

/// The content of a body, and the checksum after it, where it is sent in chunks.
fn dechunked(call: &Call) -> (Vec<u8>, Option<String>) {
    if call.header("x-amz-trailer").is_none() {
        let sent = call.header("x-amz-checksum-crc32").map(str::to_owned);
        return (call.body.clone(), sent);
    }
    let (mut content, mut rest) = (Vec::new(), call.body.as_slice());
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = std::str::from_utf8(&rest[..end]).unwrap();
        let size = usize::from_str_radix(size.split(';').next().unwrap(), 16).unwrap();
        rest = &rest[end + 2..];
        if size == 0 {
            break;
        }
        content.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
    let trailer = String::from_utf8_lossy(rest).into_owned();
    let sent = trailer
        .lines()
        .find_map(|line| line.strip_prefix("x-amz-checksum-crc32:"));
    (content, sent.map(|value| value.trim().to_owned()))
}

/// CRC-32 of ISO 3309, bit by bit, in Base64 as S3 writes it.
fn crc32(content: &[u8]) -> String {
    let mut crc = u32::MAX;
    for byte in content {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (0_u32.wrapping_sub(crc & 1)));
        }
    }
    base64((!crc).to_be_bytes())
}

fn base64(bytes: [u8; 4]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let all = u64::from(u32::from_be_bytes(bytes)) << 4;
    let digits = (0..6).rev().map(|place| {
        let digit = (all >> (6 * place)) & 63;
        char::from(DIGITS[usize::try_from(digit).unwrap()])
    });
    digits.collect::<String>() + "=="
}

impl Uploads {
    async fn start() -> (Arc<Uploads>, Arc<Server>) {
        let uploads = Arc::new(Uploads::default());
        let behind = Arc::clone(&uploads);
        let server = Server::start(move |call| behind.answer(call)).await;
        (uploads, server)
    }

    fn answer(&self, call: &Call) -> Answer {
        let mut upload = self.upload.lock().unwrap();
        match (call.what.as_str(), parameter(&call.target, "partNumber")) {
            ("POST", _) if parameter(&call.target, "uploads").is_some() => {
                *upload = Upload {
                    algorithm: call.header("x-amz-checksum-algorithm").map(str::to_owned),
                    kind: call.header("x-amz-checksum-type").map(str::to_owned),
                    ..Upload::default()
                };
                Answer::new(
                    200,
                    "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
                )
            }
            ("PUT", Some(number)) => {
                let (mut content, sent) = dechunked(call);
                let announced = upload.algorithm.as_deref().unwrap_or("null");
                let actual = sent.as_ref().map_or("null", |_| "CRC32");
                if announced != actual {
                    return refused(
                        "InvalidRequest",
                        &format!(
                            "Checksum Type mismatch occurred, expected checksum Type: {announced}, \
                             actual checksum Type: {actual}"
                        ),
                    );
                }
                let number = number.parse().unwrap();
                if *self.damage.lock().unwrap() == Some(number) {
                    content[0] ^= 1;
                }
                if sent.as_ref().is_some_and(|sent| *sent != crc32(&content)) {
                    return refused("BadDigest", "The CRC32 you specified did not match");
                }
                upload.parts.insert(number, (content, sent.clone()));
                let answer = Answer::new(200, "").with("etag", &format!("\"{number}\""));
                match &sent {
                    Some(sent) => answer.with("x-amz-checksum-crc32", sent),
                    None => answer,
                }
            }
            ("POST", _) => self.complete(call, &mut upload),
            ("DELETE", _) => Answer::new(204, ""),
            // Nothing is there before the upload.
            ("HEAD", _) => Answer::new(404, ""),
            (what, _) => panic!("{what} {}", call.target),
        }
    }

    fn complete(&self, call: &Call, upload: &mut Upload) -> Answer {
        let body = String::from_utf8_lossy(&call.body).into_owned();
        let named = body.split("<Part>").skip(1);
        let text = |part: &str, name: &str| {
            let begin = part.split_once(&format!("<{name}>"))?.1;
            Some(begin.split_once('<')?.0.to_owned())
        };
        let mut size = 0;
        for part in named {
            let number: u32 = text(part, "PartNumber").unwrap().parse().unwrap();
            let (content, sent) = &upload.parts[&number];
            size += content.len();
            // A checksum that the part does not have names another part.
            if text(part, "ChecksumCRC32") != *sent
                || (sent.is_some() && upload.algorithm.is_none())
            {
                return refused(
                    "InvalidPart",
                    "One or more of the specified parts could not be found",
                );
            }
        }
        let declared = call.header("x-amz-mp-object-size");
        if declared.is_some_and(|declared| declared != size.to_string())
            || call.header("x-amz-checksum-type") != upload.kind.as_deref()
        {
            return refused("InvalidRequest", "The upload is not what was announced");
        }
        upload.completed = true;
        Answer::new(
            200,
            "<CompleteMultipartUploadResult><ETag>\"whole-2\"</ETag></CompleteMultipartUploadResult>",
        )
    }
}

/// A file that goes up in parts, and its content.
fn large() -> (tempfile::TempDir, std::path::PathBuf, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large");
    let content: Vec<u8> = (0..(16_u32 << 20) + 1)
        .map(|n| (n ^ (n >> 9)) as u8)
        .collect();
    std::fs::write(&path, &content).unwrap();
    (folder, path, content)
}

#[test]
fn checksums_are_those_of_s3() {
    // The check value of CRC-32, and the example of an empty content.
    assert_eq!(crc32(b"123456789"), "y/Q5Jg==");
    assert_eq!(crc32(b""), "AAAAAA==");
}

#[tokio::test]
async fn a_file_in_parts_announces_its_checksum_and_has_one_of_the_whole() {
    let (uploads, server) = Uploads::start().await;
    let (_folder, path, content) = large();
    let objects = aws(&server.url, "t").await.objects();
    let info = objects
        .put_file("curated/t/a", &path, PutMode::IfAbsent, Original::Final)
        .await
        .unwrap();
    assert_eq!(info.size, content.len() as u64);
    let upload = uploads.upload.lock().unwrap().clone();
    assert!(upload.completed);
    assert_eq!(upload.algorithm.as_deref(), Some("CRC32"));
    assert_eq!(upload.kind.as_deref(), Some("FULL_OBJECT"));
    let sent: Vec<u8> = upload
        .parts
        .into_values()
        .flat_map(|(part, _)| part)
        .collect();
    assert!(sent == content);
}

#[tokio::test]
async fn a_part_that_is_damaged_on_its_way_fails_the_upload() {
    let (uploads, server) = Uploads::start().await;
    let (_folder, path, _) = large();
    *uploads.damage.lock().unwrap() = Some(2);
    let objects = aws(&server.url, "t").await.objects();
    let put = objects.put_file("curated/t/a", &path, PutMode::IfAbsent, Original::Final);
    let error = put.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.to_string().contains("BadDigest"), "{error}");
    assert!(!uploads.upload.lock().unwrap().completed);
}

/// The server of these tests refuses what S3 refuses: otherwise they would show nothing.
#[tokio::test]
async fn a_part_whose_checksum_was_not_announced_is_refused() {
    let (_uploads, server) = Uploads::start().await;
    let config = aws_config::defaults(aws_config::BehaviorVersion::latest())
        .http_client(tarn_aws::https::client())
        .endpoint_url(&server.url)
        .region(aws_config::Region::new("us-east-1"))
        .credentials_provider(aws_sdk_s3::config::Credentials::new(
            "test", "test", None, None, "given",
        ))
        .load()
        .await;
    let config = aws_sdk_s3::config::Builder::from(&config).force_path_style(true);
    let s3 = aws_sdk_s3::Client::from_conf(config.build());
    let begin = s3.create_multipart_upload().bucket("b").key("k");
    begin.send().await.unwrap();
    let part = s3
        .upload_part()
        .bucket("b")
        .key("k")
        .upload_id("u")
        .part_number(1);
    let error = part
        .checksum_algorithm(ChecksumAlgorithm::Crc32)
        .body(bytes::Bytes::from_static(b"1").into())
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("InvalidRequest"));
    let begin = s3.create_multipart_upload().bucket("b").key("k");
    let begin = begin.checksum_algorithm(ChecksumAlgorithm::Crc32);
    begin.send().await.unwrap();
    let part = s3
        .upload_part()
        .bucket("b")
        .key("k")
        .upload_id("u")
        .part_number(1);
    let part = part.body(bytes::Bytes::from_static(b"1").into());
    let tag = part.send().await.unwrap().e_tag;
    let named = CompletedPart::builder()
        .part_number(1)
        .set_e_tag(tag)
        .build();
    let complete = s3
        .complete_multipart_upload()
        .bucket("b")
        .key("k")
        .upload_id("u");
    let complete =
        complete.multipart_upload(CompletedMultipartUpload::builder().parts(named).build());
    let error = complete.send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidPart"));
}

/// What a whole read is compared with, and what a range is not.
#[tokio::test]
async fn a_whole_read_is_compared_with_the_checksum_of_the_content() {
    let content = "0123456789";
    let server = Server::start(move |call| {
        let answer = Answer::new(200, "0123456_89").with("etag", "\"tag\"");
        match call.header("range") {
            Some(_) => Answer {
                status: 206,
                body: b"_".to_vec(),
                ..answer
            },
            None => {
                assert_eq!(call.header("x-amz-checksum-mode"), Some("ENABLED"));
                answer
                    .with("x-amz-checksum-crc32", &crc32(content.as_bytes()))
                    .with("x-amz-checksum-type", "FULL_OBJECT")
            }
        }
    })
    .await;
    let objects = aws(&server.url, "t").await.objects();
    let error = objects.get("curated/t/a", None).await.unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
    assert!(error.is_retryable());
    assert_eq!(objects.get("curated/t/a", Some(7..8)).await.unwrap(), "_");
}
