"""Provider facts as data, one TOML file a provider; `gateway/catalogue.py` reads them."""
