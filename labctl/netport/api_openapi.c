/* SPDX-License-Identifier: MIT */
/* api_openapi.c - the OpenAPI 3.1 description, generated from the tables of routes. */
#include "netport/api.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "version.h"

#include "base/banned.h"

/* JSON in C strings: ' stands for ". */
static const struct {
	const char *name, *schema;
} schemas[] = {
	{ "DataBool", "{'type':'object','required':['data'],'properties':{'data':{'type':"
		      "'boolean'}}}" },
	{ "DataInteger", "{'type':'object','required':['data'],'properties':{'data':{'type':"
			 "'integer'}}}" },
	{ "DataText", "{'type':'object','required':['data'],'properties':{'data':{'type':"
		      "'string'}}}" },
	{ "DataTextOrFalse", "{'type':'object','required':['data'],'properties':{'data':{'type':"
			     "['string','boolean']}}}" },
	{ "DataTexts", "{'type':'object','required':['data'],'properties':{'data':{'type':'array',"
		       "'items':{'type':'string'}}}}" },
	{ "DataPort", "{'type':'object','required':['data'],'properties':{'data':{'type':["
		      "'object','boolean'],'properties':{'port':{'type':'integer'}}}}}" },
	{ "DataResources",
	  "{'type':'object','required':['data'],'properties':{'data':{'type':'object',"
	  "'additionalProperties':{'type':'array','items':{'type':'array','items':{'type':"
	  "'string'},'minItems':1,'maxItems':1}}}}}" },
	{ "DataSystem",
	  "{'type':'object','required':['data'],'properties':{'data':{'type':'object','properties'"
	  ":{'platform':{'type':'string'},'platform-release':{'type':'string'},'platform-version':"
	  "{'type':'string'},'architecture':{'type':'string'},'hostname':{'type':'string'},"
	  "'ip-address':{'type':'string'},'mac-address':{'type':'string'},'processor':{'type':"
	  "'string'},'ram':{'type':'string','examples':['16 GB']}}}}}" },
	{ "Unprocessable",
	  "{'type':'object','properties':{'detail':{'type':'array','items':{'type':'object',"
	  "'properties':{'loc':{'type':'array','items':{'type':'string'}},'msg':{'type':'string'},"
	  "'type':{'type':'string'}}}}}}" },
	{ "Detail", "{'type':'object','properties':{'detail':{'type':'string'}}}" },
	{ "FieldErrors",
	  "{'type':'object','description':'A list of messages for each field, or for "
	  "non_field_errors.','additionalProperties':{'type':'array','items':{'type':'string'}}}" },
	{ "Error", "{'type':'object','properties':{'error':{'type':'object','required':['kind',"
		   "'message'],'properties':{'kind':{'type':'string'},'message':{'type':'string'},"
		   "'hint':{'type':'string'}}}}}" },
	{ "Service", "{'type':'object','required':['name','start','end'],'properties':{'name':{"
		     "'type':'string','maxLength':64},'description':{'type':'string','maxLength':"
		     "500},'start':{'type':'integer','minimum':1024,'maximum':49151},'end':{'type':"
		     "'integer','minimum':1024,'maximum':49151}},'examples':[{'name':'django',"
		     "'description':'Django service','start':5000,'end':10000}]}" },
	{ "ServicePatch", "{'type':'object','properties':{'description':{'type':'string'},'start':{"
			  "'type':'integer'},'end':{'type':'integer'}},'examples':[{'end':12000}]"
			  "}" },
	{ "Services", "{'type':'array','items':{'$ref':'#/components/schemas/Service'}}" },
	{ "Instance", "{'type':'object','required':['name'],'properties':{'name':{'type':'string',"
		      "'maxLength':128}},'examples':[{'name':'web-01'}]}" },
	{ "Empty", "{'type':'object','examples':[{}]}" },
	{ "Offer", "{'type':'object','properties':{'service':{'type':'string'},'name':{'type':"
		   "'string'},'port':{'type':'integer'},'secret':{'type':'string','format':'uuid'},"
		   "'created':{'type':'string','format':'date-time'}}}" },
	{ "Offers", "{'type':'array','items':{'$ref':'#/components/schemas/Offer'}}" },
	{ "RegisteredPort", "{'type':'object','properties':{'service':{'type':'string'},'name':{"
			    "'type':'string'},'port':{'type':'integer'},'created':{'type':'string',"
			    "'format':'date-time'}}}" },
	{ "RegisteredPorts",
	  "{'type':'array','items':{'$ref':'#/components/schemas/RegisteredPort'}}" },
	{ "Lease",
	  "{'type':'object','required':['id','resource','value','owner','uid','created'],"
	  "'properties':{'id':{'type':'integer'},'resource':{'type':'string'},'value':{'type':"
	  "'string'},'owner':{'type':'string'},'uid':{'type':'integer'},'note':{'type':'string'},"
	  "'created':{'type':'string','format':'date-time'},'expires':{'type':['string','null'],"
	  "'format':'date-time'},'bound':{'enum':['none','boot','process']}}}" },
	{ "Leases", "{'type':'object','properties':{'leases':{'type':'array','items':{'$ref':"
		    "'#/components/schemas/Lease'}},'total':{'type':'integer'}}}" },
	{ "LeaseRequest",
	  "{'type':'object','required':['resource'],'additionalProperties':false,'properties':{"
	  "'resource':{'type':'string','description':'PORT, INTERFACE, SUBNET, MAC, VNI, NETNS, "
	  "LAB, PATH, PROCESS or a name of your own'},'value':{'type':['string','integer'],"
	  "'description':'this one; without it: any'},'prefer':{'type':['string','integer'],"
	  "'description':'this one if it is free'},'range':{'type':'string','description':'any of "
	  "these; without it: of the pool'},'order':{'enum':['lowest','spread']},'ttl':{'type':"
	  "'number','description':'seconds; without it: no end'},'note':{'type':'string'},'check':"
	  "{'type':'boolean','default':true,'description':'false: also if the host uses it "
	  "already'}},'examples':[{'resource':'PORT','ttl':3600,'note':'web'}]}" },
	{ "Renewal", "{'type':'object','additionalProperties':false,'properties':{'ttl':{'type':"
		     "'number'}},'examples':[{'ttl':3600}]}" },
	{ "Pool", "{'type':'object','properties':{'resource':{'type':'string'},'range':{'type':"
		  "'string'},'size':{'type':'integer'},'builtin':{'type':'boolean'}}}" },
	{ "Pools", "{'type':'object','properties':{'pools':{'type':'array','items':{'$ref':"
		   "'#/components/schemas/Pool'}}}}" },
	{ "PoolRange", "{'type':'object','required':['range'],'additionalProperties':false,"
		       "'properties':{'range':{'type':'string'}},'examples':[{'range':"
		       "'20000-29999'}]}" },
	{ "Lab",
	  "{'type':'object','properties':{'name':{'type':'string'},'stage':{'type':'string'},'uid'"
	  ":{'type':'integer'},'since':{'type':'string','format':'date-time'},'leases':{'type':"
	  "'array','items':{'$ref':'#/components/schemas/Lease'}}}}" },
	{ "Labs", "{'type':'object','properties':{'labs':{'type':'array','items':{'$ref':"
		  "'#/components/schemas/Lab'}}}}" },
	{ "Whoami", "{'type':'object','properties':{'owner':{'type':'string'},'uid':{'type':"
		    "'integer'},'scopes':{'type':'string'}}}" },
	{ "Health", "{'type':'object','properties':{'status':{'const':'ok'},'store':{'type':"
		    "'string'}}}" },
	{ "OpenApi", "{'type':'object'}" },
};

static const struct {
	const char *tag, *description, *error;
} families[API_FAMILY_MAX] = {
	[API_MODERN] = { "labctl", "Leases, pools and labs; on TCP with a token.", "Error" },
	[API_NETPORT] = { "netport",
			  "netport's API: every call is a GET, the caller is known by address.",
			  "Detail" },
	[API_PORTMASTER] = { "portmaster",
			     "portmaster's API: services, offers and registered ports.", "Detail" },
};

static json_t *parse_schema(const char *text)
{
	auto_free char *json = xstrdup(text);
	json_t *doc;

	for (char *s = json; *s; s++) {
		if (*s == '\'')
			*s = '"';
	}
	doc = json_loads(json, 0, NULL);
	if (!doc)
		abort(); /* a defect of the table above */
	return doc;
}

static json_t *ref(const char *schema)
{
	auto_free char *text = xasprintf("#/components/schemas/%s", schema);

	return json_pack("{s:s}", "$ref", text);
}

static json_t *content(const char *schema)
{
	return json_pack("{s:{s:{s:o}}}", "content", "application/json", "schema", ref(schema));
}

static json_t *response(const char *description, const char *schema)
{
	json_t *doc = schema ? content(schema) : json_object();

	json_object_set_new(doc, "description", json_string(description));
	return doc;
}

static const char *type_name(enum param_type t)
{
	switch (t) {
	case PARAM_INTEGER:
	case PARAM_PORT:
		return "integer";
	case PARAM_BOOL:
		return "boolean";
	case PARAM_TEXT:
		break;
	}
	return "string";
}

static json_t *parameters(const struct route *r)
{
	json_t *list = json_array(), *schema;

	for (const char *s = strchr(r->path, '{'); s; s = strchr(s + 1, '{')) {
		auto_free char *name = xstrndup(s + 1, strcspn(s + 1, "}"));

		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:b, s:{s:s}}", "name", name, "in",
						"path", "required", 1, "schema", "type", "string"));
	}
	for (const struct param *p = r->params; p && p->name; p++) {
		schema = json_pack("{s:s}", "type", type_name(p->type));
		if (p->type == PARAM_PORT)
			json_object_update_new(schema, json_pack("{s:i, s:i}", "minimum", 0,
								 "maximum", PORTS_LAST));
		json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:s, s:o}", "name", p->name,
						      "in", "query", "required", p->required,
						      "description", p->help, "schema", schema));
	}
	if (r->family == API_MODERN && strcmp(r->method, "POST") == 0 && !strchr(r->path, '{'))
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s, s:{s:s}}", "name",
						"Idempotency-Key", "in", "header", "description",
						"the same key gets the same lease, for a day",
						"schema", "type", "string"));
	return list;
}

/* "get_db_is_reserved" */
static char *operation_id(const struct route *r)
{
	auto_str id = { 0 };

	for (const char *s = r->method; *s; s++)
		str_addc(&id, (char)tolower((unsigned char)*s));
	for (const char *s = r->path; *s; s++) {
		if (isalnum((unsigned char)*s))
			str_addc(&id, *s);
		else if (id.s[id.len - 1] != '_')
			str_addc(&id, '_');
	}
	if (id.s[id.len - 1] == '_')
		id.s[--id.len] = '\0';
	return str_steal(&id);
}

static json_t *responses(const struct route *r)
{
	json_t *all = json_object();
	char status[8];

	snprintf(status, sizeof(status), "%u", r->status);
	json_object_set_new(all, status, response("Done.", r->result));
	if (r->family == API_NETPORT && r->params)
		json_object_set_new(all, "422",
				    response("A parameter is missing or wrong.", "Unprocessable"));
	if (r->family == API_PORTMASTER && r->flags & ROUTE_WRITES)
		json_object_set_new(all, "400", response("It does not fit.", "FieldErrors"));
	json_object_set_new(all, "default",
			    response("It could not be done.", families[r->family].error));
	return all;
}

static json_t *operation(const struct route *r)
{
	auto_free char *id = operation_id(r);
	json_t *doc = json_pack("{s:s, s:s, s:[s], s:o, s:o}", "operationId", id, "summary",
				r->summary, "tags", families[r->family].tag, "parameters",
				parameters(r), "responses", responses(r));

	if (r->body) {
		json_t *body = content(r->body);

		json_object_set_new(body, "required", json_boolean(strcmp(r->body, "Empty") != 0));
		json_object_set_new(doc, "requestBody", body);
	}
	if (r->flags & ROUTE_OPEN)
		json_object_set_new(doc, "security", json_array());
	return doc;
}

static json_t *paths(const struct route *const *tables)
{
	json_t *all = json_object();

	for (const struct route *const *t = tables; *t; t++) {
		for (const struct route *r = *t; r->path; r++) {
			json_t *item = json_object_get(all, r->path);
			char method[16] = "";

			for (size_t i = 0; r->method[i] && i < sizeof(method) - 1; i++)
				method[i] = (char)tolower((unsigned char)r->method[i]);
			if (!item) {
				item = json_object();
				json_object_set_new(all, r->path, item);
			}
			json_object_set_new(item, method, operation(r));
		}
	}
	return all;
}

json_t *openapi_document(const struct route *const *tables)
{
	json_t *components = json_object(), *tags = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(schemas); i++)
		json_object_set_new(components, schemas[i].name, parse_schema(schemas[i].schema));
	for (size_t i = 0; i < API_FAMILY_MAX; i++)
		json_array_append_new(tags, json_pack("{s:s, s:s}", "name", families[i].tag,
						      "description", families[i].description));
	return json_pack(
		"{s:s, s:{s:s, s:s, s:s, s:{s:s, s:s}}, s:[{s:[]},{}], s:o, s:o, s:{s:o, "
		"s:{s:{s:s, s:s}}}}",
		"openapi", "3.1.0", "info", "title", "labctl netport", "version", LABCTL_VERSION,
		"description",
		"Leases of ports, names and numbers: one book for labs and for everyone else "
		"on this computer.",
		"license", "name", "MIT", "identifier", "MIT", "security", "token", "tags", tags,
		"paths", paths(tables), "components", "schemas", components, "securitySchemes",
		"token", "type", "http", "scheme", "bearer");
}
