local header = ngx.var.http_authorization
if header and #header > 7 and string.lower(string.sub(header, 1, 7)) == "bearer "
    and ngx.shared.tokens:get(string.sub(header, 8)) then
  return
end
ngx.header["WWW-Authenticate"] = "Bearer"
return ngx.exit(401)
