//! The HTTPS client of every service: the SDK's own but for its cryptography, which is `ring`. Polars
//! brings `ring` in any case, and the SDK's default, `aws-lc`, would be a second TLS stack with a C
//! library of its own to compile.

use aws_sdk_s3::config::SharedHttpClient;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, ConnectorBuilder};

/// A client with the system's root certificates, which goes through the proxy that `HTTPS_PROXY`,
/// `HTTP_PROXY` and `NO_PROXY` name, as the SDK's own does.
pub(crate) fn client() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector =
            ConnectorBuilder::default().tls_provider(Provider::Rustls(CryptoMode::Ring));
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        connector.build()
    })
}
