//! What suites need and how it is got. Everything but Debian's packages and Rust's components goes below `target/`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Failure, Result};
use crate::process;
use crate::workspace::Workspace;

/// Something a suite cannot do without.
pub(crate) struct Need {
    /// What it is.
    pub(crate) name: &'static str,
    /// The command that brings it.
    pub(crate) how: &'static str,
    /// Whether it is there.
    pub(crate) is_there: fn(&Workspace) -> bool,
    /// Brings it.
    pub(crate) get: fn(&Workspace) -> Result<()>,
}

pub(super) const RUSTFMT: Need = Need {
    name: "rustfmt",
    how: "rustup component add rustfmt",
    is_there: |workspace| answers(process::cargo(&workspace.root).args(["fmt", "--version"])),
    get: |_| process::run(Command::new("rustup").args(["component", "add", "rustfmt"])),
};

pub(super) const CLIPPY: Need = Need {
    name: "clippy",
    how: "rustup component add clippy",
    is_there: |workspace| answers(process::cargo(&workspace.root).args(["clippy", "--version"])),
    get: |_| process::run(Command::new("rustup").args(["component", "add", "clippy"])),
};

pub(super) const C_COMPILER: Need = Need {
    name: "a C compiler (SQLite is built from source)",
    how: "apt-get install gcc libc6-dev",
    is_there: |_| process::is_installed("cc") || process::is_installed("gcc") || std::env::var_os("CC").is_some(),
    get: |_| apt(&["gcc", "libc6-dev"]),
};

pub(super) const STATIC_LIBC: Need = Need {
    name: "the C library for static linking",
    how: "apt-get install libc6-dev",
    is_there: |_| {
        // The compiler says the bare name where it finds no file.
        let found = process::capture(Command::new("cc").arg("-print-file-name=libc.a"));
        found.is_ok_and(|path| Path::new(path.trim()).is_absolute())
    },
    get: |_| apt(&["libc6-dev"]),
};

pub(super) const PYTHON: Need = Need {
    name: "Python 3 with venv",
    how: "apt-get install python3 python3-venv",
    is_there: |_| answers(Command::new("python3").args(["-c", "import ensurepip, venv"])),
    get: |_| apt(&["python3", "python3-venv"]),
};

pub(super) const PYTHON_CLIENTS: Need = Need {
    name: "the Python package `websockets`",
    how: "python3 -m venv target/venv && target/venv/bin/pip install websockets",
    is_there: |workspace| answers(Command::new(python(workspace)).args(["-c", "import websockets"])),
    get: |workspace| {
        process::run(Command::new("python3").args(["-m", "venv"]).arg(workspace.target.join("venv")))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "websockets"];
        process::run(Command::new(python(workspace)).args(pip))
    },
};

pub(super) const PYTHON_API: Need = Need {
    name: "the Python packages `schemathesis` and `openapi-python-client`",
    how: "python3 -m venv target/venv && target/venv/bin/pip install schemathesis openapi-python-client",
    is_there: |workspace| {
        let tool = |name| answers(Command::new(python(workspace).with_file_name(name)).arg("--version"));
        tool("schemathesis") && tool("openapi-python-client")
    },
    get: |workspace| {
        process::run(Command::new("python3").args(["-m", "venv"]).arg(workspace.target.join("venv")))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        let packages = ["schemathesis", "openapi-python-client"];
        process::run(Command::new(python(workspace)).args(pip).args(packages))
    },
};

pub(super) const PYTHON_LLAMA: Need = Need {
    name: "the Python package `xllamacpp`, which has llama.cpp's server",
    how: "python3 -m venv target/venv && target/venv/bin/pip install xllamacpp",
    is_there: |workspace| answers(Command::new(python(workspace)).args(["-c", "import xllamacpp"])),
    get: |workspace| {
        process::run(Command::new("python3").args(["-m", "venv"]).arg(workspace.target.join("venv")))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "xllamacpp"];
        process::run(Command::new(python(workspace)).args(pip))
    },
};

pub(super) const CLAMD: Need = Need {
    name: "ClamAV's daemon",
    how: "apt-get install clamav-daemon",
    // It is in a folder that is not in everybody's path.
    is_there: |_| Path::new("/usr/sbin/clamd").exists() || process::is_installed("clamd"),
    get: |_| apt(&["clamav-daemon"]),
};

pub(super) const PYTHON_OPENAI: Need = Need {
    name: "the Python package `openai`",
    how: "python3 -m venv target/venv && target/venv/bin/pip install openai",
    is_there: |workspace| answers(Command::new(python(workspace)).args(["-c", "import openai"])),
    get: |workspace| {
        process::run(Command::new("python3").args(["-m", "venv"]).arg(workspace.target.join("venv")))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "openai"];
        process::run(Command::new(python(workspace)).args(pip))
    },
};

pub(super) const NODE: Need = Need {
    name: "Node and npm",
    how: "apt-get install nodejs npm",
    is_there: |_| answers(Command::new("node").arg("--version")) && answers(Command::new("npm").arg("--version")),
    get: |_| apt(&["nodejs", "npm"]),
};

pub(super) const NODE_OPENAI: Need = Need {
    name: "the Node package `openai`",
    how: "npm install --prefix target/node openai",
    is_there: |workspace| node_modules(workspace).join("openai").is_dir(),
    get: |workspace| {
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]);
        process::run(npm.arg(workspace.target.join("node")).arg("openai"))
    },
};

pub(super) const CHROMIUM: Need = Need {
    name: "Chromium",
    how: "apt-get install chromium",
    is_there: |_| process::is_installed("chromium"),
    get: |_| apt(&["chromium"]),
};

pub(super) const NODE_PLAYWRIGHT: Need = Need {
    name: "the Node package `playwright-core`, which drives Chromium",
    how: "npm install --prefix target/node playwright-core",
    is_there: |workspace| node_modules(workspace).join("playwright-core").is_dir(),
    get: |workspace| {
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]);
        process::run(npm.arg(workspace.target.join("node")).arg("playwright-core"))
    },
};

pub(super) const PYTHON_SLACK: Need = Need {
    name: "the Python package `slack_sdk`",
    how: "python3 -m venv target/venv && target/venv/bin/pip install slack_sdk",
    is_there: |workspace| answers(Command::new(python(workspace)).args(["-c", "import slack_sdk"])),
    get: |workspace| {
        process::run(Command::new("python3").args(["-m", "venv"]).arg(workspace.target.join("venv")))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "slack_sdk"];
        process::run(Command::new(python(workspace)).args(pip))
    },
};

pub(super) const NODE_SLACK: Need = Need {
    name: "the Node package `@slack/webhook`",
    how: "npm install --prefix target/node @slack/webhook",
    is_there: |workspace| node_modules(workspace).join("@slack/webhook").is_dir(),
    get: |workspace| {
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]);
        process::run(npm.arg(workspace.target.join("node")).arg("@slack/webhook"))
    },
};

pub(super) const DENY: Need = Need {
    name: "cargo-deny",
    how: "cargo install --locked cargo-deny --root target/tools",
    is_there: |workspace| {
        answers(process::cargo(&workspace.root).args(["deny", "--version"]))
            || answers(Command::new(deny(workspace)).arg("--version"))
    },
    get: |workspace| {
        let mut cargo = process::cargo(&workspace.root);
        cargo.args(["install", "--locked", "cargo-deny", "--root"]).arg(workspace.target.join("tools"));
        // Its own crates stay out of the shared folder's way, and are gone with it.
        process::run(cargo.arg("--target-dir").arg(workspace.target.join("tools/build")))
    },
};

/// The Python that has the clients.
pub(super) fn python(workspace: &Workspace) -> PathBuf {
    workspace.target.join("venv/bin/python")
}

/// Where Node's packages are.
pub(super) fn node_modules(workspace: &Workspace) -> PathBuf {
    workspace.target.join("node/node_modules")
}

/// Where `--setup` puts cargo-deny.
pub(super) fn deny(workspace: &Workspace) -> PathBuf {
    workspace.target.join("tools/bin/cargo-deny")
}

/// Whether cargo-nextest is there. Without it the same tests run through `cargo test`.
pub(super) fn has_nextest(workspace: &Workspace) -> bool {
    answers(process::cargo(&workspace.root).args(["nextest", "--version"]))
}

/// Whether the program starts and ends well.
fn answers(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Installs Debian packages, as root or through sudo.
fn apt(packages: &[&str]) -> Result<()> {
    if !process::is_installed("apt-get") {
        return Err(Failure::found(format!("there is no apt-get here to install {}", packages.join(", "))));
    }
    let apt_get = || {
        let mut command = if rustix::process::geteuid().is_root() {
            Command::new("apt-get")
        } else {
            let mut sudo = Command::new("sudo");
            sudo.args(["--non-interactive", "apt-get"]);
            sudo
        };
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    let install = || process::run(apt_get().args(["install", "--yes", "--no-install-recommends"]).args(packages));
    // A fresh machine has no package lists, and old ones name what is no longer there.
    install().or_else(|_| process::run(apt_get().arg("update")).and_then(|()| install()))
}
