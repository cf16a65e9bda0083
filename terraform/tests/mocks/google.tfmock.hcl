mock_data "google_project" {
  defaults = { number = "123456789012" }
}

mock_data "google_client_openid_userinfo" {
  defaults = { email = "someone@example.com" }
}
