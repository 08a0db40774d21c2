//! The HTTPS client of every service. It differs from the SDK's default client only in its cryptography:
//! `ring`, which Polars needs anyway. The default, `aws-lc`, would be a second TLS stack to compile, with
//! a C library.

use aws_sdk_s3::config::SharedHttpClient;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, ConnectorBuilder};

/// A client with the system's root certificates. Like the SDK's default client, it uses the proxy in
/// `HTTPS_PROXY` or `HTTP_PROXY`, except for hosts in `NO_PROXY`.
pub fn client() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector =
            ConnectorBuilder::default().tls_provider(Provider::Rustls(CryptoMode::Ring));
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        connector.build()
    })
}
