//! The README of `auth-code-flow`, a package on `PyPI`: its quick start, run by the package itself in `quick_start.py`.

use serde_json::json;

use crate::script::python;
use crate::support::{Database, Server, both};

both!(
    async fn the_quick_start_obtains_an_access_token(server: Server) {
        server.alice().await;
        let client = json!({
            "secret": "your stack exchange client secret", "grant_types": ["code"],
            "auth": {"authorization_code": {"redirect_uri": "http://localhost:8000/oauth/callback/stackexchange"}},
        });
        server.put("/Client/stack-exchange", client).await;
        python("tests/seeds/quick_start.py", &[server.issuer()]).await;
    }
);
