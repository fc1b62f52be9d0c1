"""The commands `vlmix recipes ...`: what is built in, what a recipe says once all is inherited, its JSON schema."""

from cyclopts import App

from flows.console import JsonOption, messages, say

recipes_app = App(name="recipes", help="Recipes: list, show, JSON schema.")


@recipes_app.command(name="list")
def recipes_list(*, as_json: JsonOption = False) -> None:
    """List the built-in recipes.

    Args:
        as_json: print one JSON document.
    """
    with messages():
        from manifests.load import built_in, load_recipe

        found = [load_recipe(name)[0] for name in built_in()]
        rows = [
            {
                "recipe": recipe.name,
                "stages": len(recipe.resolved_stages()),
                "entries": sum(len(stage.entries) for stage in recipe.resolved_stages()),
                "description": " ".join(recipe.description.split()),
            }
            for recipe in found
        ]
        lines = [f"{'recipe':<24} {'stages':>6} {'entries':>7}  description"]
        lines += [f"{row['recipe']:<24} {row['stages']:>6} {row['entries']:>7}  {row['description']}" for row in rows]
        say({"recipes": rows}, "\n".join(lines), as_json=as_json)


@recipes_app.command(name="show")
def recipes_show(name: str, *, as_json: JsonOption = False) -> None:
    """Print a recipe as YAML, with all that it inherits in place.

    Args:
        name: built-in name, or path of a .yaml file.
        as_json: print one JSON document.
    """
    with messages():
        import yaml

        from manifests.load import load_recipe

        document = load_recipe(name)[0].model_dump(mode="json", exclude_unset=True)
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
        say(document, text.rstrip("\n"), as_json=as_json)


@recipes_app.command(name="schema")
def recipes_schema() -> None:
    """Print the JSON schema of recipe files, for editors."""
    with messages():
        from manifests.schema import recipe_schema

        say(dict(recipe_schema()), "", as_json=True)
