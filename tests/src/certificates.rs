//! Certificates for tests: an authority of its own, and keys that it vouches for.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// An authority, with its files in one directory.
#[derive(Debug)]
pub struct Authority {
    /// Where the files are.
    directory: PathBuf,
    /// What signs.
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes an authority whose certificate is the file `ca.pem` of `directory`.
    ///
    /// # Errors
    ///
    /// When the certificate cannot be made or written.
    pub fn create(directory: &Path) -> Result<Self> {
        let mut parameters = parameters("authority", &[])?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        fs::write(directory.join("ca.pem"), parameters.self_signed(&key)?.pem())?;
        Ok(Self { directory: directory.to_owned(), issuer: Issuer::new(parameters, key) })
    }

    /// Makes a certificate for `name`, in the files `name.pem` and `name.key`; it is valid for `hosts`.
    ///
    /// # Errors
    ///
    /// When it cannot be made or written.
    pub fn certify(&self, name: &str, hosts: &[&str]) -> Result<()> {
        let key = KeyPair::generate()?;
        let certificate = parameters(name, hosts)?.signed_by(&key, &self.issuer)?;
        fs::write(self.path(&format!("{name}.pem")), certificate.pem())?;
        let key_path = self.path(&format!("{name}.key"));
        fs::write(&key_path, key.serialize_pem())?;
        fs::set_permissions(&key_path, Permissions::from_mode(0o600))?;
        Ok(())
    }

    /// A file of the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The same as text, for command lines and connection strings.
    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

fn parameters(name: &str, hosts: &[&str]) -> Result<CertificateParams> {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut parameters = CertificateParams::new(hosts)?;
    parameters.distinguished_name.push(DnType::CommonName, name);
    Ok(parameters)
}
